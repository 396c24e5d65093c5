// Which tokens end a text.
#pragma once

#include "engine/sampling_params.hpp"
#include "policies/token.hpp"

#include <algorithm>
#include <span>
#include <vector>

namespace souffleur {

/// Whether a text ends with `token`. `ends` are the vocabulary's end tokens.
inline bool ends_text(token_id token, std::span<const token_id> ends, const sampling_params& params) {
  const auto has = [token](const auto& tokens) { return std::ranges::find(tokens, token) != tokens.end(); };
  return (!params.ignore_eos && has(ends)) || has(params.stop_token_ids);
}

/// What may not follow `n_output` tokens, since the text would be shorter than `min_tokens`: all that could
/// end it. Mostly empty.
inline std::vector<token_id> ends_too_early(int n_output, std::span<const token_id> ends,
                                            const sampling_params& params) {
  std::vector<token_id> forbidden;
  if (n_output < params.min_tokens) {
    forbidden.assign(ends.begin(), ends.end());
    forbidden.insert(forbidden.end(), params.stop_token_ids.begin(), params.stop_token_ids.end());
  }
  return forbidden;
}

} // namespace souffleur
