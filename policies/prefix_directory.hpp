// Which worker has which prefix in its cache, as far as a router can know: names of pages, never tokens.
#pragma once

#include "policies/eviction_policy.hpp"
#include "policies/routing_policy.hpp"

#include <cstddef>
#include <list>
#include <span>
#include <unordered_map>
#include <vector>

namespace souffleur {

/// A prefix is the names of its whole pages, in their order; each name covers all pages before it, so the
/// pages of all workers' prefix trees fit into one table. Of each worker it remembers as many pages as fit
/// into that one's cache, those used last. It errs: what is not reported may have been evicted, or never been
/// computed.
class prefix_directory {
public:
  /// The worker's cache has `max_pages`. Of one that is known, the oldest beyond that are forgotten.
  void add_worker(worker_id worker, std::size_t max_pages);
  void remove_worker(worker_id worker);

  /// The worker will have this prefix. An unknown worker has nothing.
  void insert(worker_id worker, std::span<const page_hash> prefix);
  /// What the worker reports: pages that have come to its cache, and pages that are gone from it.
  void report(worker_id worker, std::span<const page_hash> added, std::span<const page_hash> removed);

  struct match {
    worker_id worker = 0;
    int n_pages = 0; ///< at the front of the prefix, without a gap
  };
  /// Those that have its first page, in no particular order. Changes nothing. O(pages × workers that have
  /// them).
  std::vector<match> find(std::span<const page_hash> prefix) const;

  std::size_t n_pages(worker_id worker) const;
  std::size_t n_names() const { return holders_.size(); } ///< of pages that anybody has
  bool has(worker_id worker, page_hash page) const;

private:
  struct holder {
    worker_id worker = 0;
    std::list<page_hash>::iterator place;
  };
  struct shelf {
    std::size_t max_pages = 0;
    std::list<page_hash> newest_first;
  };

  void touch(worker_id worker, shelf& of, page_hash page);
  void drop(worker_id worker, shelf& of, page_hash page);
  void trim(worker_id worker, shelf& of);
  void forget(worker_id worker, page_hash page);

  std::unordered_map<worker_id, shelf> shelves_;
  std::unordered_map<page_hash, std::vector<holder>> holders_; ///< by worker; none is empty
};

} // namespace souffleur
