// Where answers outlive the process, or are shared with others: behind the response cache, never in its way.
#pragma once

#include "engine/cache/cached_answer.hpp"
#include "engine/result.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace souffleur {

struct stored_neighbour {
  key_digest exact;
  double similarity = 0; ///< cosine
};

/// What others, or an earlier process, did to the store.
struct store_changes {
  std::vector<cache_entry_ptr> added;
  std::vector<key_digest> removed;
  std::string position; ///< where to go on; opaque
  bool is_all = false;  ///< nothing more is known now
  /// The store no longer knows what happened after the position that was asked for, so it begins from the
  /// beginning: what is not added between here and `is_all` has been removed.
  bool starts_over = false;
};

struct store_counters {
  std::uint64_t n_reads = 0;
  std::uint64_t n_found = 0;
  std::uint64_t n_writes = 0;
  std::uint64_t n_failures = 0; ///< operations that the store did not carry out
  std::uint64_t n_damaged = 0;  ///< values that were ignored: cut, of other dimensions or of another version
  std::uint64_t n_bytes = 0;    ///< that it takes now, as far as it knows
  std::uint64_t n_entries = 0;
  bool is_reachable = true;
};

/// Blocks, each call for no longer than the store was given when it was opened; so it belongs to an actor
/// with a thread of its own. A failure says that the store did not do it; whoever asked goes on without. What
/// is not whole, or of another version, is not there: it is counted, and never returned.
class answer_store {
public:
  virtual ~answer_store() = default;
  virtual std::string_view name() const = 0;

  /// Nothing: it has none, or one that has expired at `now_s`.
  virtual result<std::optional<cache_entry>> get(const key_digest& exact, unix_seconds now_s) = 0;
  /// Replaces an older one with the same exact key. When it returns, the entry is the store's: a killed
  /// process does not lose it.
  virtual result<std::monostate> put(const cache_entry& entry) = 0;
  virtual result<std::monostate> erase(const key_digest& exact) = 0;
  /// Everything of one tenant. Returns how many entries that were.
  virtual result<std::size_t> forget(const key_digest& owner) = 0;

  /// At most about `n_most` changes after `position` (empty: from the beginning, in the order of creation;
  /// what has expired is left out). Own changes may be among them.
  virtual result<store_changes> changes_since(const std::string& position, std::size_t n_most,
                                              unix_seconds now_s) = 0;

  /// Whether `nearest` is the store's own search over what all processes stored; else nobody asks for it, and
  /// the local index is fed with `changes_since`.
  virtual bool searches() const { return false; }
  /// At most `n` of the partition, best first, none expired.
  virtual result<std::vector<stored_neighbour>> nearest(const key_digest& /*partition*/,
                                                        std::span<const float> /*vector*/, std::size_t /*n*/,
                                                        unix_seconds /*now_s*/) {
    return std::vector<stored_neighbour>{};
  }

  virtual store_counters counters() const = 0;
};

} // namespace souffleur
