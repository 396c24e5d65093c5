#include "engine/drafting/shared_vocabulary.hpp"

#include "policies/key_digest.hpp"

#include <algorithm>
#include <string>

namespace souffleur {

namespace {

std::string quoted(const tokenizer& vocabulary, token_id token) {
  return (vocabulary.is_control(token) ? "control token \"" : "\"") + std::string{vocabulary.piece(token)} +
         "\"";
}

} // namespace

result<int> shared_vocabulary(const tokenizer& target, const tokenizer& draft) {
  const int n_shared = std::min(target.vocabulary_size(), draft.vocabulary_size());
  for (token_id token = 0; token < n_shared; ++token)
    if (target.piece(token) != draft.piece(token) || target.is_control(token) != draft.is_control(token))
      return failure{"the draft model has another vocabulary than the model: token " + std::to_string(token) +
                     " is " + quoted(draft, token) + " instead of " + quoted(target, token)};
  if (n_shared == 0)
    return failure{"the draft model has another vocabulary than the model: one of them has no tokens"};
  return n_shared;
}

std::string vocabulary_fingerprint(const tokenizer& vocabulary, int n_tokens) {
  key_encoder said;
  said.begin_list(static_cast<std::size_t>(n_tokens));
  for (token_id token = 0; token < n_tokens; ++token) {
    said.add(vocabulary.piece(token));
    said.add(static_cast<std::int64_t>(vocabulary.is_control(token)));
  }
  return to_hex(said.digest());
}

} // namespace souffleur
