#include "policies/step_cost.hpp"

#include <algorithm>
#include <cmath>

namespace souffleur {

namespace {

constexpr double factor_rate = 0.1;
constexpr double correction_rate = 0.05;
/// A step beside which the machine was doing something else tells little.
constexpr double least_ratio = 0.5;
constexpr double largest_ratio = 2;

constexpr step_time unmeasured[] = {{1, 1}, {21, 2}};

} // namespace

step_cost::step_cost(std::span<const step_time> measured) {
  if (measured.empty())
    measured = unmeasured;
  for (const auto& one : measured)
    knots_.push_back({one.n_rows, one.us});
  std::ranges::sort(knots_, {}, &knot::n_rows);
  const auto same = std::ranges::unique(knots_, {}, &knot::n_rows);
  knots_.erase(same.begin(), same.end());
  if (knots_.size() == 1) // all in proportion to the rows
    knots_.push_back({2 * knots_.front().n_rows, 2 * knots_.front().us});
}

double step_cost::interpolated(int n_rows) const {
  auto above = std::ranges::lower_bound(knots_, n_rows, {}, &knot::n_rows);
  if (above == knots_.begin())
    ++above;
  if (above == knots_.end())
    --above;
  const auto& a = *std::prev(above);
  const auto& b = *above;
  const double at_a = a.us * a.correction;
  const double at_b = b.us * b.correction;
  const double slope = (at_b - at_a) / (b.n_rows - a.n_rows);
  // Fewer rows than were measured: no slope may lead below zero.
  return n_rows < a.n_rows ? at_a * n_rows / a.n_rows : at_a + slope * (n_rows - a.n_rows);
}

double step_cost::us(int n_rows) const {
  double most = interpolated(n_rows);
  for (const auto& one : knots_)
    if (one.n_rows <= n_rows)
      most = std::max(most, one.us * one.correction);
  return factor_ * most;
}

void step_cost::observe(const step_time& step) {
  const double expected = us(step.n_rows);
  if (step.n_rows < 1 || !(step.us > 0) || !(expected > 0))
    return;
  const double ratio = std::clamp(step.us / expected, least_ratio, largest_ratio);
  factor_ *= std::pow(ratio, factor_rate);
  const auto correct = [&](knot& one, double weight) {
    one.correction *= std::pow(ratio, correction_rate * weight);
  };
  // A step between two knots speaks of each as much as it is near: else steps that never have fewer rows than
  // some number would teach that fewer cost as much.
  const auto above = std::ranges::lower_bound(knots_, step.n_rows, {}, &knot::n_rows);
  if (above == knots_.end()) {
    // Twice as far from the knot as it is large, it says nothing about it in particular.
    if (step.n_rows < 2 * knots_.back().n_rows)
      correct(knots_.back(), 1);
  } else if (above == knots_.begin()) {
    correct(*above, 1);
  } else {
    auto& below = *std::prev(above);
    const double weight = static_cast<double>(step.n_rows - below.n_rows) / (above->n_rows - below.n_rows);
    correct(*above, weight);
    correct(below, 1 - weight);
  }
}

} // namespace souffleur
