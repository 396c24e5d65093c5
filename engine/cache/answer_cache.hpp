// Finished answers by exact key and by the meaning of the question, bounded in bytes and age: the response
// cache without its mailbox.
#pragma once

#include "engine/cache/cached_answer.hpp"
#include "engine/cache/partitioned_index.hpp"
#include "engine/cache/wording_index.hpp"
#include "policies/answer_eviction.hpp"
#include "policies/similarity_law.hpp"

#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace souffleur {

struct answer_cache_options {
  std::size_t max_bytes = std::size_t{64} << 20;
  /// Of the embeddings that are compared; none others are, nor those that another embedder made.
  std::size_t n_dimensions = 384;
  std::string embedder;
  hybrid_options index;
};

/// A stored answer whose question is near the one that is asked.
struct answer_candidate {
  cache_entry_ptr entry;
  double similarity = 0; ///< cosine
  entry_record record;
};

/// One whose question has words in common with it.
struct worded_candidate {
  cache_entry_ptr entry;
  double cover = 0; ///< share of the asked question's words, by weight
};

struct answer_cache_counters {
  std::size_t n_entries = 0;
  std::size_t n_indexed = 0; ///< of those: that are found by meaning, too
  std::size_t n_partitions = 0;
  std::size_t n_tombstones = 0;
  std::size_t n_bytes = 0;       ///< at most max_bytes
  std::size_t n_index_bytes = 0; ///< of those
  // Since the beginning:
  std::uint64_t n_inserted = 0;
  std::uint64_t n_replaced = 0; ///< by another answer to the same request
  std::uint64_t n_evicted = 0;  ///< for want of room
  std::uint64_t n_expired = 0;
  std::uint64_t n_erased = 0; ///< by erase()
  std::uint64_t n_forgotten = 0;
  std::uint64_t n_refused = 0;   ///< larger than the whole cache, or expired when they came
  std::uint64_t n_unindexed = 0; ///< had an embedding of another embedder, other dimensions or another length
  std::uint64_t n_rebuilds = 0;
};

/// Nothing that is asked in one partition finds anything of another. An entry is never found at or after its
/// expiry; `now_s` is the caller's clock.
class answer_cache {
public:
  answer_cache(answer_cache_options options, std::unique_ptr<answer_eviction> eviction);

  /// No use of it, and perhaps expired.
  bool contains(const key_digest& exact) const { return by_key_.contains(exact); }
  /// Null: a miss. Else a use of the answer.
  cache_entry_ptr find(const key_digest& exact, unix_seconds now_s);
  /// At most `k` entries of the partition, best first. `vector` comes from the cache's embedder; one of other
  /// dimensions or another length than 1 finds nothing.
  std::vector<answer_candidate> similar(const key_digest& partition, std::span<const float> vector,
                                        std::size_t k, unix_seconds now_s);
  /// Whether similar() can find anything in the partition.
  bool has_similar(const key_digest& partition) const { return index_.has(partition); }
  /// Those of the partition that similar() can find and whose questions cover `share` of the words of
  /// `question` (`wording_index`), best first: microseconds, where an embedding takes milliseconds. Nothing
  /// if that cannot be told so quickly, or if there are more than `most`.
  std::optional<std::vector<worded_candidate>> worded_like(const key_digest& partition,
                                                           std::string_view question, double share,
                                                           std::size_t most, unix_seconds now_s) const;
  /// A candidate was served: a use of its answer.
  void served(const key_digest& exact);
  /// What came of comparing a candidate's answer with one that was generated. Nothing if it is gone.
  void note(const key_digest& exact, double similarity, likeness outcome);

  /// Replaces the entry with the same exact key; if it says the same, its record and uses stay. False if it
  /// is not kept: larger than the whole cache, or expired.
  bool insert(cache_entry_ptr entry, unix_seconds now_s);
  bool erase(const key_digest& exact);
  /// Everything of one tenant. Returns how many entries that were.
  std::size_t forget(const key_digest& owner);

  /// Nothing if no partition's index is to be rebuilt that is not being so already. To be asked after what
  /// was inserted, erased or forgotten.
  std::optional<partition_rebuild> begin_rebuild() { return index_.begin_rebuild(); }
  /// False if nothing came of it: there was no memory for it, or the partition is gone.
  bool finish_rebuild(const partition_rebuild& rebuilt);

  answer_cache_counters counters() const;
  std::size_t size() const { return slots_.size(); }
  std::size_t n_bytes() const { return entries_bytes_ + index_.n_bytes(); }
  /// What an entry is counted with, its vector in the index apart.
  static std::size_t entry_bytes(const cache_entry& entry);
  /// Whether entries, keys, orders and vectors belong to each other one by one and the bytes add up. Looks at
  /// all.
  bool check_integrity() const;

private:
  /// Never reused, and the name of the entry's vector.
  using entry_number = vector_id;
  struct slot {
    cache_entry_ptr entry;
    answer_use use;
    bool is_indexed = false;
    std::unique_ptr<entry_record> record; ///< null: nothing noted yet
  };
  using slots = std::unordered_map<entry_number, slot>;

  bool is_comparable(std::span<const float> vector) const;
  bool is_comparable(const cache_entry& entry) const;
  std::size_t bytes_to_add(const cache_entry& entry) const;
  bool replace_equal(const cache_entry_ptr& entry);
  slots::iterator lookup(const key_digest& exact);
  void note_use(slots::iterator at);
  void remove(slots::iterator at, std::uint64_t& counter);
  void remove_expired(unix_seconds now_s);
  void evict_one();

  answer_cache_options options_;
  std::unique_ptr<answer_eviction> eviction_;
  partitioned_index index_;
  std::unordered_map<key_digest, wording_index, key_digest_hash>
      wordings_; ///< by partition, of what is indexed
  slots slots_;
  std::unordered_map<key_digest, entry_number, key_digest_hash> by_key_;
  std::set<std::pair<eviction_key, entry_number>> by_worth_; ///< the first one goes first
  std::set<std::pair<unix_seconds, entry_number>> by_expiry_;
  std::size_t entries_bytes_ = 0;
  entry_number next_number_ = 0;
  std::uint64_t clock_ = 0;
  double age_ = 0; ///< the largest eviction_key::first that was evicted
  answer_cache_counters counters_;
};

} // namespace souffleur
