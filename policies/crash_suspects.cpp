#include "policies/crash_suspects.hpp"

#include <algorithm>
#include <iterator>
#include <unordered_set>
#include <utility>

namespace souffleur {

std::vector<sequence_id> crash_suspects::clean_ones(std::span<const sequence_id> wanting) const {
  std::unordered_set<sequence_id> suspects;
  for (const auto& one : groups_)
    suspects.insert(one.begin(), one.end());
  std::vector<sequence_id> clean;
  std::ranges::copy_if(wanting, std::back_inserter(clean), [&](auto id) { return !suspects.contains(id); });
  return clean;
}

std::vector<sequence_id> crash_suspects::admitted(std::span<const sequence_id> wanting) {
  if (groups_.empty())
    return {wanting.begin(), wanting.end()};
  auto clean = clean_ones(wanting);
  if (std::exchange(clean_are_next_, !clean_are_next_) && !clean.empty())
    return clean;
  for (std::size_t i = 0; i < groups_.size(); ++i) {
    std::vector<sequence_id> tried;
    std::ranges::copy_if(groups_.front(), std::back_inserter(tried),
                         [&](auto id) { return std::ranges::count(wanting, id) > 0; });
    if (!tried.empty())
      return tried;
    std::rotate(groups_.begin(), groups_.begin() + 1, groups_.end());
  }
  return clean;
}

std::vector<sequence_id> crash_suspects::crashed(std::span<const sequence_id> step) {
  if (step.empty())
    return {};
  ++n_unexplained_;
  for (const auto id : step) {
    remove(id);
    ++n_crashes_[id];
  }
  if (step.size() > 1) {
    const auto half = step.begin() + static_cast<std::ptrdiff_t>(step.size() / 2);
    groups_.emplace_front(half, step.end());
    groups_.emplace_front(step.begin(), half);
    return {};
  }
  const auto id = step.front();
  if (++n_alone_[id] < max_alone_) {
    groups_.push_front({id});
    return {};
  }
  const int n_explained = std::min(n_crashes_[id], n_unexplained_);
  n_unexplained_ -= n_explained;
  n_found_ += n_explained;
  forget(id);
  return {id};
}

void crash_suspects::survived(std::span<const sequence_id> step) {
  if (step.empty())
    return;
  n_explained_ += std::exchange(n_found_, 0);
  if (groups_.empty() && n_crashes_.empty())
    return;
  for (const auto id : step) {
    remove(id);
    n_crashes_.erase(id);
  }
}

void crash_suspects::forget(sequence_id id) {
  remove(id);
  n_crashes_.erase(id);
  n_alone_.erase(id);
}

void crash_suspects::remove(sequence_id id) {
  for (auto& one : groups_)
    std::erase(one, id);
  std::erase_if(groups_, [](const group& one) { return one.empty(); });
}

int crash_suspects::take_explained() { return std::exchange(n_explained_, 0); }

} // namespace souffleur
