#include "engine/kv/prefix_journal.hpp"

#include <utility>

namespace souffleur {

std::uint64_t prefix_journal::begin() {
  const auto lock = std::lock_guard(mutex_);
  held_.clear();
  coming_.clear();
  going_ = told_;
  return ++tree_;
}

void prefix_journal::added(std::uint64_t tree, page_hash page) {
  const auto lock = std::lock_guard(mutex_);
  if (tree == tree_ && held_.emplace(page, ++clock_).second && going_.erase(page) == 0) {
    coming_.emplace(clock_, page);
  }
}

void prefix_journal::removed(std::uint64_t tree, page_hash page) {
  const auto lock = std::lock_guard(mutex_);
  const auto found = tree == tree_ ? held_.find(page) : held_.end();
  if (found == held_.end()) {
    return;
  }
  if (coming_.erase(found->second) == 0) {
    going_.insert(page);
  }
  held_.erase(found);
}

prefix_journal::changes prefix_journal::take(std::size_t n_most) {
  const auto lock = std::lock_guard(mutex_);
  auto told = changes{};
  for (auto page = going_.begin(); page != going_.end() && told.removed.size() < n_most;) {
    told.removed.push_back(*page);
    told_.erase(*page);
    page = going_.erase(page);
  }
  for (auto one = coming_.begin();
       one != coming_.end() && told.removed.size() + told.added.size() < n_most;) {
    told.added.push_back(one->second);
    told_.insert(one->second);
    one = coming_.erase(one);
  }
  return told;
}

void prefix_journal::start_over() {
  const auto lock = std::lock_guard(mutex_);
  told_.clear();
  going_.clear();
  coming_.clear();
  for (const auto& [page, when] : held_) {
    coming_.emplace(when, page);
  }
}

} // namespace souffleur
