// What is in the KV memory, in numbers.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace souffleur {

/// Page counts of the pool. free + cached + pinned + owned == total at every quiet moment.
struct kv_occupancy {
  int n_total = 0;
  int n_free = 0;
  int n_cached = 0; ///< in the tree, evictable
  int n_pinned = 0; ///< in the tree, in use by a sequence
  int n_owned = 0;  ///< by one sequence alone
};

struct kv_counters {
  std::uint64_t n_queried_tokens = 0; ///< prompt tokens looked up
  std::uint64_t n_hit_tokens = 0;     ///< of them, found
  std::uint64_t n_evicted_pages = 0;
};

/// Of the pages in files.
struct file_tier_counters {
  std::uint64_t n_hit_pages = 0; ///< read whole
  std::uint64_t n_written_pages = 0;
  std::uint64_t n_damaged_pages = 0;   ///< dropped, since a checksum or a name was wrong
  std::uint64_t n_displaced_pages = 0; ///< dropped to make room
  std::uint64_t n_refused_pages = 0;   ///< the system could not write them
  std::uint64_t n_skipped_pages = 0;   ///< worth storing, but there was no time to copy them
  std::uint64_t n_pages = 0;           ///< stored now
  std::uint64_t n_bytes = 0;           ///< of the files now
};

/// A stretch of cached pages without a fork, named by where it ends.
struct cached_prefix {
  std::uint64_t serial = 0; ///< tells it from others
  int n_tokens = 0;         ///< from position 0 to its end
  int n_own_tokens = 0;     ///< of them, in this stretch
  std::uint64_t n_hits = 0;
  int n_pins = 0;           ///< sequences that use it now
  std::uint64_t parent = 0; ///< the stretch before it, or the namespace's root
};

/// What is in the memory, without anybody's text.
struct kv_summary {
  kv_occupancy occupancy;
  kv_counters counters;
  int n_sequences = 0;
  int n_namespaces = 0;
  int n_prefixes = 0;                     ///< stretches without a fork
  int n_deepest_tokens = 0;               ///< the longest that could be found
  std::vector<cached_prefix> most_hit;    ///< most hits first, among equals the longest
  std::optional<file_tier_counters> tier; ///< nothing if there is none
};

} // namespace souffleur
