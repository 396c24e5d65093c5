// Which unpinned leaf of the radix tree goes first.
#pragma once

#include "policies/policy_registry.hpp"

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
  int depth_pages = 0;           ///< from the root to its end: what its last page's attention looks back on
  double age = 0;                ///< the largest eviction_key::first evicted before `last_used`
  std::uint64_t last_lookup = 0; ///< how many lookups there had been at `last_used`
  std::uint64_t gap = 0; ///< lookups between its last two uses, or those of what it follows; 0: unknown
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

/// Names a page by all tokens up to its end and the namespace. Equal names of different pages do no more harm
/// than a wrong guess.
using page_hash = std::uint64_t;

/// Leaves stand in queues, each in the order of key(), which changes only when the node is used. Of the
/// queues' first leaves the one of the least worth() goes, of equal ones the one used longer ago.
///
/// A policy that learns is told of every lookup: the nodes found, then the pages that would have followed.
/// `now` counts lookups, this one included.
class eviction_policy {
public:
  virtual ~eviction_policy() = default;
  virtual std::string_view name() const = 0;
  virtual eviction_key key(const cached_node& node) const = 0;
  virtual int queue(const cached_node& /*node*/) const { return 0; }
  virtual double worth(const cached_node& /*node*/, std::uint64_t /*now*/) const { return 0; }

  /// First of all, how large the pool is.
  virtual void start(int /*n_pages*/) {}
  /// All pages of `node`, which is as it was before.
  virtual void found(const cached_node& /*node*/, std::uint64_t /*now*/) {}
  /// False: the pages after this one need not be told.
  virtual bool missed(page_hash /*page*/, std::uint64_t /*now*/) { return false; }
  /// The gap of a page that is put in behind another, of which the gap is given.
  virtual std::uint64_t gap_of(page_hash /*page*/, std::uint64_t gap_before) const { return gap_before; }
  /// The last page of `node`.
  virtual void evicted(const cached_node& /*node*/, page_hash /*page*/, std::uint64_t /*now*/) {}
};

/// Names: "lhd", "lru", "lfu", "fifo", "slru", "gdsf", and those registered. Null if the name is unknown.
std::unique_ptr<eviction_policy> make_eviction_policy(std::string_view name);
/// From now on this process knows the policy `name`, which a configuration may then say. False if it knew
/// that name already. `make` may be called from any thread.
bool register_eviction_policy(const std::string& name, policy_factory<eviction_policy> make);

} // namespace souffleur
