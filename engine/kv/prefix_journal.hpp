// What a prefix tree has, for somebody far away who is told of changes a few at a time.
#pragma once

#include "policies/eviction_policy.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace souffleur {

/// A page that goes before anybody was told that it had come is never spoken of; so what waits to be told is
/// bounded by the pages that the tree has and those that it had when the listener was last told of one.
///
/// Invariant: whoever began with nothing and was told all changes has what the tree has. Any thread may call.
class prefix_journal {
public:
  /// A new tree, which is empty. Returns the name under which it writes; an earlier one writes in vain.
  std::uint64_t begin();
  void added(std::uint64_t tree, page_hash page);
  void removed(std::uint64_t tree, page_hash page);

  struct changes {
    std::vector<page_hash> added; ///< first those that came first, so no page before the one that it follows
    std::vector<page_hash> removed;
    bool operator==(const changes&) const = default;
  };
  /// At most `n_most`, of those that have not been told yet; additions only if no removal is left.
  changes take(std::size_t n_most);
  /// There is a new listener, who knows nothing.
  void start_over();

private:
  std::mutex mutex_;
  std::uint64_t tree_ = 0;
  std::unordered_set<page_hash> told_;                ///< that the listener believes to be there
  std::unordered_map<page_hash, std::uint64_t> held_; ///< that are there, by when they came
  std::map<std::uint64_t, page_hash> coming_;         ///< held and not told, by when they came
  std::unordered_set<page_hash> going_;               ///< told and not held
  std::uint64_t clock_ = 0;
};

} // namespace souffleur
