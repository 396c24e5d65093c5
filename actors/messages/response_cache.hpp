// The conversation with the response cache.
#pragma once

#include "actors/messages/generation.hpp"
#include "engine/cache/cached_answer.hpp"
#include "policies/cache_key.hpp"
#include "policies/cacheability.hpp"
#include "policies/similarity_law.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace souffleur {

/// What a request and the cache have to do with each other.
struct cache_terms {
  cache_key key;
  key_digest owner; ///< of the tenant
  cache_permit permit;
  double replay_tokens_per_s = 0; ///< of a stored answer; 0: all at once
};
using cache_terms_ptr = std::shared_ptr<const cache_terms>;

struct cache_lookup {
  cache_terms_ptr terms;
};

/// An entry of which is to be found out whether its answer would have done.
struct doubtful_entry {
  key_digest exact;
  double similarity = 0; ///< of its question to the one that was asked
};

struct cache_finding {
  /// `exact` or `semantic`: the answer is to be served. `model`: it is to be generated.
  answer_source source = answer_source::model;
  cached_answer_ptr answer; ///< to serve, or to draft from; null: there is none
  double similarity =
      0; ///< of the nearest question, if one was found; by wording: the share of words in common
  std::shared_ptr<const std::vector<float>> embedding; ///< of the question, if that was computed
  bool is_too_long = false;                            ///< the question has more than the embedder reads
  std::uint64_t ticket = 0; ///< under which the question is embedded meanwhile; 0: it is not
  std::optional<doubtful_entry> doubt;
};
using cache_finding_ptr = std::shared_ptr<const cache_finding>;

/// A generated answer that may be repeated.
struct cache_insertion {
  cache_terms_ptr terms;
  cached_answer_ptr answer;
  cache_finding_ptr found; ///< by the lookup before it; null: there was none
};
using cache_insertion_ptr = std::shared_ptr<const cache_insertion>;

/// Somebody has to say whether the stored answer would have done.
struct doubtful_answer {
  doubtful_entry entry;
  std::string stored_question;
  std::string asked_question;
  std::string stored_answer;
  std::string generated_answer;
};
using doubtful_answer_ptr = std::shared_ptr<const doubtful_answer>;

/// What came of judging a doubtful entry.
struct cache_verdict {
  doubtful_entry entry;
  likeness outcome = likeness::unknown;
};

/// Everything of one tenant goes, from memory and from the store.
struct cache_purge {
  key_digest owner;
};

} // namespace souffleur
