// A next-token distribution after all processing (algorithms: canonical logits pipeline).
#pragma once

#include "policies/token.hpp"

#include <vector>

namespace souffleur {

/// Sparse distribution: `probabilities[i]` belongs to `tokens[i]`; tokens ascend strictly, probabilities are
/// positive and sum to 1 (up to rounding). One entry of probability 1 stands for a greedy choice.
struct distribution {
  std::vector<token_id> tokens;
  std::vector<double> probabilities;
};

/// Inverse CDF in ascending token order: the first token whose cumulative probability exceeds `uniform`.
/// Rounding of the sum falls to the last token; an empty law gives 0.
token_id token_at(const distribution& law, double uniform);

/// The most likely token; ties fall to the lowest id, an empty law gives 0.
token_id most_likely(const distribution& law);

} // namespace souffleur
