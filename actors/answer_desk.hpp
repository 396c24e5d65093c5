// The response cache without its mailbox: what is in memory, and what the caching policy makes of it.
#pragma once

#include "actors/messages/answer_store.hpp"
#include "actors/messages/response_cache.hpp"
#include "engine/cache/answer_cache.hpp"
#include "policies/cache_policy.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <vector>

namespace souffleur {

struct answer_desk_options {
  answer_cache_options memory;
  std::string eviction = "gdsf";
  std::string policy = "exact";
  cache_calibration calibration;
  std::uint64_t seed = 0; ///< of the policy's coins
};

class answer_desk {
public:
  /// REQUIRES: known names of policy and eviction.
  explicit answer_desk(const answer_desk_options& options);

  /// Null: there is none.
  cache_finding_ptr find_exact(const cache_terms& terms, unix_seconds now_s);
  /// What can be said without an embedding. Null: the question has to be embedded, because some stored one
  /// has enough of its words and passes the guards. Else it is to be generated, perhaps with an answer to
  /// draft from.
  cache_finding_ptr find_by_wording(const cache_terms& terms, unix_seconds now_s) const;
  /// Never null. `embedding` is that of the question; `elsewhere`: what the store found that is not in
  /// memory.
  cache_finding_ptr find_similar(const cache_terms& terms,
                                 std::shared_ptr<const std::vector<float>> embedding,
                                 std::span<const found_entry> elsewhere, unix_seconds now_s);
  /// How many of the nearest questions are looked at.
  static constexpr std::size_t n_candidates = 4;
  /// How many questions with words in common are held against the guards; if there are more, it is embedded.
  static constexpr std::size_t most_worded = 16;

  /// Keeps a generated answer. Returns the entry, for the store. `embedding` may be null.
  cache_entry_ptr insert(const cache_insertion& insertion,
                         const std::shared_ptr<const std::vector<float>>& embedding, unix_seconds now_s);
  /// What is to be judged now that the answer to `insertion` is known; nothing if there was no doubt, or if
  /// it is settled: answers that are equal are right.
  std::optional<doubtful_answer> doubt_of(const cache_insertion& insertion, unix_seconds now_s);
  void settle(const doubtful_entry& entry, likeness outcome) {
    memory_.note(entry.exact, entry.similarity, outcome);
  }

  /// Keeps what comes from the store.
  void keep(cache_entry_ptr entry, unix_seconds now_s) { memory_.insert(std::move(entry), now_s); }
  void erase(const key_digest& exact) { memory_.erase(exact); }
  /// Forgets everything: others may have removed any of it.
  void start_over();
  std::size_t forget(const key_digest& owner) { return memory_.forget(owner); }

  std::optional<partition_rebuild> begin_rebuild() { return memory_.begin_rebuild(); }
  void finish_rebuild(const partition_rebuild& rebuilt) { memory_.finish_rebuild(rebuilt); }
  answer_cache_counters counters() const { return memory_.counters(); }

private:
  answer_desk_options options_;
  answer_cache memory_;
  std::unique_ptr<cache_policy> policy_;
  std::mt19937_64 coins_;
};

} // namespace souffleur
