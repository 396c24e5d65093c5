// The canonical logits pipeline and the counter-based random numbers (one function object for draft and
// target).
#pragma once

#include "engine/sampling_params.hpp"
#include "policies/coins.hpp"
#include "policies/distribution.hpp"

#include <array>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

namespace souffleur {

/// The generator's block function, Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1,
/// 2, 3").
std::array<std::uint32_t, 4> philox4x32_10(std::array<std::uint32_t, 4> counter,
                                           std::array<std::uint32_t, 2> key);

/// Philox4x32-10 (Salmon et al. 2011): a uniform in the open interval (0, 1) that depends on its arguments
/// alone.
double counter_uniform(std::uint64_t seed, std::uint64_t position, rng_purpose purpose,
                       std::uint32_t index = 0);

/// The coins of a step whose first token is at `position`.
uniform_coins coins_at(std::uint64_t seed, std::uint64_t position);

/// Occurrences of tokens in a context, for the penalties.
struct token_counts {
  std::unordered_map<token_id, int> prompt;
  std::unordered_map<token_id, int> output;
};

/// A row's most likely tokens with their log-probabilities under the raw logits.
struct token_logprobs {
  float chosen = 0;
  std::vector<std::pair<token_id, float>> top; ///< descending
};

/// The lowest id among the largest logits; NaN counts as -inf, and 0 is given if nothing exceeds -inf.
token_id argmax(std::span<const float> logits);

/// The `n` likeliest tokens in descending order, with their shares in what these n have together.
std::vector<likely_token> likeliest(std::span<const float> logits, int n);

/// The first stage of the pipeline where an answer has a grammar: tokens whose bit in `allowed` (token t: bit
/// t % 64 of word t / 64) is not set get -inf, before bias and penalties, so that every share, and every
/// log-probability taken afterwards, is one among allowed tokens.
void forbid_all_but(std::span<const std::uint64_t> allowed, std::span<float> logits);

/// Applies, in this order: logit bias, penalties, mask of `forbidden` ids, temperature, top-k, top-p, min-p,
/// softmax. `logits` (vocabulary,) is used as scratch and overwritten. Temperature 0 gives the one lowest-id
/// maximum. Never empty, never NaN: if nothing finite is left, the result is the lowest-id maximum of what
/// came in. NaN counts as -inf, ids outside the vocabulary are ignored. Tokens less likely than 2^-60 of the
/// most likely one are dropped: a 52-bit coin cannot tell them from 0.
distribution next_token_distribution(std::span<float> logits, const sampling_params& params,
                                     const token_counts* counts, std::span<const token_id> forbidden);

/// Inverse CDF in ascending token order.
token_id sample(const distribution& law, double uniform);

/// log softmax of the raw logits at `chosen` and at the `n_top` most likely tokens. Impossible tokens have
/// -inf, never NaN.
token_logprobs logprobs_of(std::span<const float> logits, token_id chosen, int n_top);

} // namespace souffleur
