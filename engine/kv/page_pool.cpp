#include "engine/kv/page_pool.hpp"

#include <algorithm>

namespace souffleur {

page_pool::page_pool(int n_pages) : out_(static_cast<std::size_t>(std::max(n_pages, 0)), false) {
  free_.reserve(out_.size());
  for (auto page = n_total() - 1; page >= 0; --page) {
    free_.push_back(page);
  }
}

bool page_pool::is_free(page_id page) const {
  return page >= 0 && page < n_total() && !out_[static_cast<std::size_t>(page)];
}

bool page_pool::take(int n, std::vector<page_id>& pages) {
  if (n > n_free()) {
    return false;
  }
  for (auto i = 0; i < n; ++i) {
    const auto page = free_.back();
    free_.pop_back();
    out_[static_cast<std::size_t>(page)] = true;
    pages.push_back(page);
  }
  return true;
}

bool page_pool::give_back(page_id page) {
  if (page < 0 || page >= n_total() || is_free(page)) {
    return false;
  }
  out_[static_cast<std::size_t>(page)] = false;
  free_.push_back(page);
  return true;
}

bool page_pool::consistent() const {
  auto listed = std::vector<bool>(out_.size(), false);
  for (const auto page : free_) {
    if (!is_free(page) || listed[static_cast<std::size_t>(page)]) {
      return false;
    }
    listed[static_cast<std::size_t>(page)] = true;
  }
  return std::ranges::count(out_, false) == std::ssize(free_);
}

} // namespace souffleur
