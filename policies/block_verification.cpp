#include "policies/block_verification.hpp"

#include <algorithm>

namespace souffleur {

double ending_chance(double mass, double stands) {
  const double sum = mass + (1 - stands); // in this order not below the mass
  return sum > 0 ? mass / sum : 1;
}

std::vector<ending> block_verification::plan(const verification_tree& draft,
                                             const target_rows& target) const {
  std::vector<ending> endings; // with h_i for their probability at first
  double stands = 1;           // p_i
  int row = 0;
  for (auto next = draft.children(row); !next.empty(); next = draft.children(row)) {
    const token_id token = draft.node(next.front()).token;
    sibling_laws laws{draft.proposal(row)};
    const auto& drawn_from = laws.next(token);
    const auto law = target(row);
    auto rest = residual_of(stands, law, drawn_from);
    endings.push_back({row, ending_chance(rest.mass, stands), std::move(rest.law)});
    stands = std::min(1.0, stands * probability_of(law, token) / probability_of(drawn_from, token));
    row = next.front();
  }
  endings.push_back({row, stands, target(row)});

  std::reverse(endings.begin(), endings.end());
  double none_longer = 1;
  for (auto& way : endings) {
    const double chance = way.probability;
    way.probability = none_longer * chance;
    none_longer *= 1 - chance;
  }
  return endings;
}

} // namespace souffleur
