#include "policies/hit_density.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace souffleur {

namespace {

/// A class's own word counts for half when it has noted this many lookups' worth of pages.
constexpr double n_lookups_to_trust = 20;
/// Pages' worth of what is believed before anything is noted.
constexpr double prior_pages = 500;

} // namespace

hit_density::hit_density(int n_classes)
    : noted_(static_cast<std::size_t>(n_classes)), densities_(static_cast<std::size_t>(n_classes)) {
  learn(0);
}

int hit_density::place_of(std::uint64_t age) {
  if (age < 4) {
    return static_cast<int>(age);
  }
  const auto power = static_cast<int>(std::bit_width(age)) - 1;
  const auto quarter = static_cast<int>(age >> (power - 2)) & 3;
  return std::min((power - 1) * 4 + quarter, n_ages - 1);
}

double hit_density::start_of(int place) {
  return place < 4 ? place : std::ldexp(4 + place % 4, place / 4 - 1);
}

void hit_density::note(int which, std::uint64_t age, double n_ended, double n_used) {
  auto& to = noted_[static_cast<std::size_t>(which)];
  const auto place = static_cast<std::size_t>(place_of(age));
  to.all[place] += n_ended;
  to.used[place] += n_used;
  n_noted_ += n_ended;
}

void hit_density::add(lives& to, const lives& what, double weight) {
  for (auto i = std::size_t{0}; i < n_ages; ++i) {
    to.used[i] += weight * what.used[i];
    to.all[i] += weight * what.all[i];
  }
}

/// Of the lives that reach an age of n, some 0.3 / n end there; half of them by a use.
hit_density::lives hit_density::prior() {
  auto made = lives{};
  auto n_left = prior_pages;
  for (auto i = 0; i < n_ages; ++i) {
    const auto width = start_of(i + 1) - start_of(i);
    const auto middle = start_of(i) + width / 2;
    const auto n_ended = i + 1 < n_ages ? n_left * -std::expm1(-0.3 * width / (middle + 1)) : n_left;
    made.all[static_cast<std::size_t>(i)] = n_ended;
    made.used[static_cast<std::size_t>(i)] = n_ended / 2;
    n_left -= n_ended;
  }
  return made;
}

/// Until the moment up to which keeping pays best: Gittins' index.
hit_density::by_age hit_density::densities_of(const lives& seen) {
  auto time = by_age{}; // spent at each age, by all that reached it
  auto n_left = 0.0;
  for (auto i = n_ages; i-- > 0;) {
    const auto n_ended = seen.all[static_cast<std::size_t>(i)];
    time[static_cast<std::size_t>(i)] = (n_left + n_ended / 2) * (start_of(i + 1) - start_of(i));
    n_left += n_ended;
  }
  auto densities = by_age{};
  for (auto from = std::size_t{0}; from < n_ages; ++from) {
    auto n_used = 0.0;
    auto spent = 0.0;
    for (auto i = from; i < n_ages && time[i] > 0; ++i) {
      n_used += seen.used[i];
      spent += time[i];
      densities[from] = std::max(densities[from], n_used / spent);
    }
  }
  return densities;
}

void hit_density::learn(double n_lookups) {
  auto together = prior();
  for (const auto& one : noted_) {
    add(together, one, 1);
  }
  n_lookups_ += n_lookups;
  const auto n_trusted = n_lookups_ > 0 ? n_lookups_to_trust * n_noted_ / n_lookups_ : 1;
  for (auto which = std::size_t{0}; which < noted_.size(); ++which) {
    auto mixed = noted_[which];
    add(mixed, together, std::max(n_trusted, 1.0) / (prior_pages + n_noted_));
    densities_[which] = densities_of(mixed);
  }
}

void hit_density::fade() {
  for (auto& one : noted_) {
    for (auto i = std::size_t{0}; i < n_ages; ++i) {
      one.used[i] /= 2;
      one.all[i] /= 2;
    }
  }
  n_noted_ /= 2;
  n_lookups_ /= 2;
}

double hit_density::at(int which, std::uint64_t age) const {
  return densities_[static_cast<std::size_t>(which)][static_cast<std::size_t>(place_of(age))];
}

} // namespace souffleur
