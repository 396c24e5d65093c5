// RapidCheck generators of cache entries, and what equality of two of them is.
#pragma once

#include "engine/cache/cached_answer.hpp"

#include "tests/engine/random_text.hpp"

#include <rapidcheck.h>

#include <cmath>
#include <memory>
#include <string>
#include <vector>

namespace souffleur::testing {

inline bool is_same(const cache_entry& a, const cache_entry& b) {
  return a.exact == b.exact && a.partition == b.partition && a.owner == b.owner && a.question == b.question &&
         a.embedding == b.embedding && a.embedder == b.embedder && a.created_s == b.created_s &&
         a.expires_s == b.expires_s && *a.answer == *b.answer;
}

inline key_digest digest_numbered(std::uint64_t number) {
  key_encoder encoder;
  encoder.add(static_cast<std::int64_t>(number));
  return encoder.digest();
}

/// Of length 1, or empty.
inline std::vector<float> any_embedding() {
  std::vector<float> vector(*rc::gen::inRange<std::size_t>(0, 9));
  double squares = 0;
  for (float& x : vector) {
    x = static_cast<float>(*rc::gen::inRange(-100, 101)) / 100;
    squares += double{x} * x;
  }
  if (squares == 0)
    return {};
  for (float& x : vector)
    x = static_cast<float>(x / std::sqrt(squares));
  return vector;
}

inline cached_answer any_answer() {
  cached_answer answer;
  answer.pieces.resize(*rc::gen::inRange<std::size_t>(0, 6));
  for (auto& piece : answer.pieces)
    piece = {*rc::gen::arbitrary<token_id>(), *broken_text(), *unicode_text()};
  answer.tail = *unicode_text();
  answer.stop_string = *unicode_text();
  answer.n_tokens = *rc::gen::arbitrary<std::int32_t>();
  return answer;
}

inline cache_entry any_entry() {
  cache_entry entry;
  entry.exact = digest_numbered(*rc::gen::arbitrary<std::uint64_t>());
  entry.partition = digest_numbered(*rc::gen::arbitrary<std::uint64_t>());
  entry.owner = digest_numbered(*rc::gen::arbitrary<std::uint64_t>());
  entry.question = *unicode_text();
  entry.embedding = any_embedding();
  entry.embedder = *broken_text();
  entry.created_s = *rc::gen::arbitrary<unix_seconds>();
  entry.expires_s = *rc::gen::arbitrary<unix_seconds>();
  entry.answer = std::make_shared<const cached_answer>(any_answer());
  return entry;
}

} // namespace souffleur::testing
