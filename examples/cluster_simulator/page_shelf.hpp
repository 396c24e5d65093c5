// A worker's prefix cache, as far as a simulation of thousands needs it: which beginnings, by last use.
#pragma once

#include "examples/cluster_simulator/transcript.hpp"

#include <cstddef>
#include <list>
#include <span>
#include <unordered_map>

namespace souffleur::cluster_simulation {

/// Of whole pages, by the names of a transcript. Evicts what was not used for longest; of one prefix, its end
/// first.
class page_shelf {
public:
  explicit page_shelf(std::size_t max_pages) : max_marks_(max_pages * transcript::marks_a_page) {}

  /// So many names at the front of `prefix` are here.
  std::size_t n_matched(std::span<const page_hash> prefix) const {
    std::size_t n = 0;
    while (n < prefix.size() && places_.contains(prefix[n]))
      ++n;
    return n;
  }

  /// A page that is not whole is left out.
  void insert(std::span<const page_hash> prefix) {
    for (std::size_t i = prefix.size() / transcript::marks_a_page * transcript::marks_a_page; i-- > 0;) {
      const auto known = places_.find(prefix[i]);
      if (known != places_.end()) {
        newest_first_.splice(newest_first_.begin(), newest_first_, known->second);
        continue;
      }
      newest_first_.push_front(prefix[i]);
      places_.emplace(prefix[i], newest_first_.begin());
    }
    while (places_.size() > max_marks_) {
      places_.erase(newest_first_.back());
      newest_first_.pop_back();
    }
  }

  std::size_t n_pages() const { return places_.size() / transcript::marks_a_page; }

private:
  std::size_t max_marks_;
  std::list<page_hash> newest_first_;
  std::unordered_map<page_hash, std::list<page_hash>::iterator> places_;
};

} // namespace souffleur::cluster_simulation
