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

} // namespace souffleur
