// The conversation with the response cache.
#pragma once

#include "actors/messages/generation.hpp"

#include <memory>
#include <string>
#include <vector>

namespace souffleur {

/// A finished answer as it was streamed.
struct stored_answer {
  std::vector<generated_token> tokens;
  std::string tail; ///< as in generation_delta
  generation_finished end;
  std::size_t size_bytes() const {
    std::size_t bytes = tail.size() + sizeof(*this);
    for (const auto& token : tokens)
      bytes += sizeof(token) + token.bytes.size() + token.text.size();
    return bytes;
  }
};
using stored_answer_ptr = std::shared_ptr<const stored_answer>;

struct cache_lookup {
  std::string key;
};
/// Null answer: a miss.
struct cache_reply {
  stored_answer_ptr answer;
};
struct cache_insertion {
  std::string key;
  stored_answer_ptr answer;
};

} // namespace souffleur
