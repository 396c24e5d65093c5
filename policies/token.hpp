// The words that every layer shares.
#pragma once

#include <cstddef>
#include <cstdint>

namespace souffleur {

/// Index into the model's vocabulary.
using token_id = std::int32_t;

/// Index of a page in the KV pool.
using page_id = std::int32_t;

/// Names one running generation inside the engine; never reused within a process.
using sequence_id = std::uint64_t;

/// Tokens whose keys and values share one page of the KV pool.
inline constexpr int page_tokens = 16;

/// Pages that `n_tokens` positions fill, the last perhaps in part.
constexpr int pages_for(int n_tokens) { return n_tokens <= 0 ? 0 : (n_tokens - 1) / page_tokens + 1; }

/// Who thought of a token first. The target model confirms each of them, but for those that are forced.
enum class token_origin : std::uint8_t {
  model,
  prompt_lookup, ///< the last few tokens, found earlier in the same text
  suffix,        ///< the longest suffix of the text that occurs in it earlier
  answers,       ///< what its tenant was answered before
  prediction,    ///< what the client expects
  recycling,     ///< what the model thought likely when it last saw the token
  draft_model,
  grammar, ///< nothing else fits the form that the answer has to have
  cache,
  forced ///< nobody: it was said for the model, to end its thought
};
inline constexpr std::size_t n_token_origins = 10;

constexpr const char* to_string(token_origin origin) {
  constexpr const char* names[n_token_origins] = {"model",      "prompt_lookup", "suffix",      "answers",
                                                  "prediction", "recycling",     "draft_model", "grammar",
                                                  "cache",      "forced"};
  return names[static_cast<std::size_t>(origin)];
}

} // namespace souffleur
