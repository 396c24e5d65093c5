#include "policies/acceptance_policy.hpp"

#include "policies/block_verification.hpp"
#include "policies/exact_match.hpp"
#include "policies/named.hpp"
#include "policies/token_rejection.hpp"
#include "policies/traversal_verification.hpp"
#include "policies/typical_acceptance.hpp"

namespace souffleur {

// One coin for the step, not one a row: where a path ends depends on the rows below, too, so their coins
// would be spent when the next step judges the same positions.
verdict acceptance_policy::decide(const verification_tree& draft, const target_rows& target,
                                  const coins& from) const {
  const auto endings = plan(draft, target);
  std::vector<double> probabilities;
  probabilities.reserve(endings.size());
  for (const auto& way : endings) {
    probabilities.push_back(way.probability);
  }
  const auto& way = endings[from.pick({0, rng_purpose::accept}, probabilities)];
  verdict result{draft.tokens_to(way.row), draft.path(way.row)};
  result.tokens.push_back(draw(from, {static_cast<int>(result.tokens.size()), rng_purpose::sample}, way.law));
  return result;
}

std::unique_ptr<acceptance_policy> make_acceptance_policy(std::string_view name) {
  auto ours = make_named<acceptance_policy, coupled_match, greedy_match, gumbel_match, token_rejection,
                         block_verification, traversal_verification, typical_acceptance>(name);
  return ours ? std::move(ours) : registered_policies<acceptance_policy>().make(name);
}

bool register_acceptance_policy(const std::string& name, policy_factory<acceptance_policy> make) {
  return make_acceptance_policy(name) == nullptr &&
         registered_policies<acceptance_policy>().add(name, std::move(make));
}

} // namespace souffleur
