// A next-token distribution after all processing (algorithms: canonical logits pipeline).
#pragma once

#include "policies/token.hpp"

#include <cstddef>
#include <span>
#include <vector>

namespace souffleur {

/// Sparse distribution: `probabilities[i]` belongs to `tokens[i]`; tokens ascend strictly, probabilities are
/// positive and sum to 1 (up to rounding). One entry of probability 1 stands for a greedy choice.
struct distribution {
  std::vector<token_id> tokens;
  std::vector<double> probabilities;
};

/// A token that a model thought likely, and how likely.
struct likely_token {
  token_id token = 0;
  float probability = 0;
};

/// What a model thought likely after a token.
struct token_successors {
  token_id token = 0;
  std::vector<likely_token> likely; ///< in descending order
};

/// All on one token.
distribution point_mass(token_id token);

double probability_of(const distribution& law, token_id token);

/// Inverse CDF: the first index whose cumulative probability exceeds `uniform`. Rounding of the sum falls to
/// the last; 0 if there are none.
std::size_t index_at(std::span<const double> probabilities, double uniform);

/// The token at that index, in ascending token order; an empty law gives 0.
token_id token_at(const distribution& law, double uniform);

/// The most likely token; ties fall to the lowest id, an empty law gives 0.
token_id most_likely(const distribution& law);

/// What of `scale`·p exceeds q: max(scale·p − q, 0), token by token.
struct residual {
  double mass = 0;  ///< the sum
  distribution law; ///< normalised; p where nothing is left
};
residual residual_of(double scale, const distribution& p, const distribution& q);

/// The law given that it is not `token`; empty if it can be nothing else.
distribution without(distribution law, token_id token);

} // namespace souffleur
