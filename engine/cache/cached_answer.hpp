// What the response cache keeps: finished answers, and what they are the answers to.
#pragma once

#include "policies/key_digest.hpp"
#include "policies/token.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace souffleur {

/// A token as it was streamed.
struct answer_piece {
  token_id id = 0;
  std::string bytes; ///< its own
  std::string text;  ///< what could be shown when it was known: whole UTF-8 characters
  bool operator==(const answer_piece&) const = default;
};

/// An answer that came to its own end.
struct cached_answer {
  std::vector<answer_piece> pieces;
  std::string tail;          ///< text held back until the end
  std::string stop_string;   ///< the one that ended it, if one did
  std::int32_t n_tokens = 0; ///< that were generated, with the one that ends an answer and is not shown
  bool operator==(const cached_answer&) const = default;

  std::string text() const {
    std::string all;
    for (const auto& piece : pieces)
      all += piece.text;
    return all + tail;
  }
  std::size_t size_bytes() const {
    std::size_t n_bytes = sizeof(*this) + tail.size() + stop_string.size();
    for (const auto& piece : pieces)
      n_bytes += sizeof(piece) + piece.bytes.size() + piece.text.size();
    return n_bytes;
  }
};
using cached_answer_ptr = std::shared_ptr<const cached_answer>;

/// Seconds since 1970: entries outlive the process and are shared with others.
using unix_seconds = std::int64_t;

struct cache_entry {
  key_digest exact;             ///< of the very same request
  key_digest partition;         ///< of everything but the wording of the last question
  key_digest owner;             ///< of the tenant
  std::string question;         ///< canonical; empty: it is found by its exact key only
  std::vector<float> embedding; ///< of the question, of length 1; empty: as above
  std::string embedder;         ///< fingerprint of what made it
  unix_seconds created_s = 0;
  unix_seconds expires_s = 0; ///< at which it is there no more
  cached_answer_ptr answer;   ///< never null
};
using cache_entry_ptr = std::shared_ptr<const cache_entry>;

} // namespace souffleur
