// Which unpinned leaf of the radix tree goes first.
#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <string_view>

namespace souffleur {

/// What is known of a cached prefix node. Times are ticks of the tree's logical clock, not wall time. Only
/// its last page is at stake.
struct cached_node {
  std::uint64_t created = 0;
  std::uint64_t last_used = 0;
  std::uint64_t hits = 0;
  std::uint64_t forks = 0; ///< different ways on from its end that were taken, gone ones too
  int n_pages = 0;
  int depth_pages = 0; ///< from the root to its end: what its last page's attention looks back on
  double age = 0;      ///< the largest eviction_key::first evicted before `last_used`
};

/// Orders leaves: the smallest key is evicted first; ties fall to the older node.
struct eviction_key {
  double first = 0;
  double second = 0;
  // NOLINTNEXTLINE(modernize-use-nullptr): it takes the 0 in the default for a null pointer.
  auto operator<=>(const eviction_key&) const = default;
};

/// Prefilling a page once its prefix is there costs 1 + depth / this: attention looks back on all before it.
inline constexpr double pages_that_double_the_cost = 512;

class eviction_policy {
public:
  virtual ~eviction_policy() = default;
  virtual std::string_view name() const = 0;
  virtual eviction_key key(const cached_node& node) const = 0;
};

/// Names: "lru", "lfu", "fifo", "slru", "gdsf". Null if the name is unknown.
std::unique_ptr<eviction_policy> make_eviction_policy(std::string_view name);

} // namespace souffleur
