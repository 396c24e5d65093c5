// The best few of many neighbours.
#pragma once

#include "engine/cache/vector_index.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace souffleur {

/// Whether `a` is the better one.
inline bool is_nearer(const neighbour& a, const neighbour& b) {
  return a.similarity > b.similarity || (a.similarity == b.similarity && a.id < b.id);
}

class best_neighbours {
public:
  explicit best_neighbours(std::size_t n_most) : n_most_(n_most) { heap_.reserve(n_most); }

  bool takes(const neighbour& one) const {
    return heap_.size() < n_most_ || (n_most_ > 0 && is_nearer(one, heap_.front()));
  }
  void add(const neighbour& one) {
    if (!takes(one))
      return;
    if (heap_.size() == n_most_) {
      std::pop_heap(heap_.begin(), heap_.end(), is_nearer);
      heap_.pop_back();
    }
    heap_.push_back(one);
    std::push_heap(heap_.begin(), heap_.end(), is_nearer);
  }
  std::vector<neighbour> in_order() && {
    std::sort_heap(heap_.begin(), heap_.end(), is_nearer);
    return std::move(heap_);
  }

private:
  std::size_t n_most_;
  std::vector<neighbour> heap_; ///< the worst in front
};

} // namespace souffleur
