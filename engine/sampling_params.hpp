// What a client may ask of the sampler. Names and defaults as OpenAI and vLLM have them.
#pragma once

#include "policies/token.hpp"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace souffleur {

struct sampling_params {
  float temperature = 1.0F;        ///< 0 is greedy
  int top_k = 0;                   ///< 0 is off
  float top_p = 1.0F;              ///< (0, 1]
  float min_p = 0.0F;              ///< [0, 1]
  float repetition_penalty = 1.0F; ///< over prompt and output, > 0
  float presence_penalty = 0.0F;   ///< over output, [-2, 2]
  float frequency_penalty = 0.0F;  ///< over output, [-2, 2]
  std::vector<std::pair<token_id, float>> logit_bias;
  std::uint64_t seed = 0;
  int n_logprobs = -1; ///< -1: none; n ≥ 0: the token's own and the n most likely
  int max_tokens = 256;
  int max_thinking_tokens = -1; ///< of a model's thoughts in its answer; negative: any number
  int min_tokens = 0;
  bool ignore_eos = false;
  std::vector<std::string> stop;
  std::vector<token_id> stop_token_ids;

  bool has_penalties() const {
    return repetition_penalty != 1.0F || presence_penalty != 0.0F || frequency_penalty != 0.0F;
  }
};

} // namespace souffleur
