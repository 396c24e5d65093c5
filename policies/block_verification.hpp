// Rejection sampling of a drafted chain as a whole.
#pragma once

#include "policies/acceptance_policy.hpp"

namespace souffleur {

/// Probability of ending in a row, given that the step does not end below it, if the path to it stands with
/// probability `stands` and the residual of its law has `mass`: mass / (mass + 1 − stands).
double ending_chance(double mass, double stands);

/// With p_0 = 1 and p_i = min(1, p_{i-1} · P(x_i) / Q(x_i)), of the beginnings x_1 .. x_i of a chain the
/// longest stands for which a coin of its own falls below ending_chance(Z_i, p_i), or below p_i for the whole
/// chain. Z_i is the mass of max(p_i · P − Q, 0) one row ahead, and this residual, normalised, the law of the
/// token after it; after the whole chain it is the target's. So x_1 .. x_i stand with probability p_i, which
/// is never less than with rejection token by token. Of a tree only the first child of each row is looked at.
///
/// Sun et al. 2025, "Block verification accelerates speculative decoding".
class block_verification final : public acceptance_policy {
public:
  std::string_view name() const override { return "block"; }
  bool lossless() const override { return true; }
  std::vector<ending> plan(const verification_tree& draft, const target_rows& target) const override;
};

} // namespace souffleur
