#include "policies/typical_acceptance.hpp"
#include "tests/laws/acceptance_law.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

using namespace souffleur;
using namespace souffleur::testing;

namespace {

struct judged_path {
  bool stands = true; ///< all its tokens pass
  std::size_t length = 0;
  double likelihood = 1;
  distribution after;
};

judged_path judge(const next_law& target, const verification_tree& draft, int row, double epsilon,
                  double delta) {
  judged_path path;
  sequence before;
  for (const token_id token : draft.tokens_to(row)) {
    double entropy = 0;
    for (const double p : target(before).probabilities) {
      entropy -= p * std::log(p);
    }
    const double p = probability_of(target(before), token);
    path.stands = path.stands && p > std::min(epsilon, delta * std::exp(-entropy));
    path.likelihood *= p;
    before.push_back(token);
  }
  path.length = before.size();
  path.after = target(before);
  return path;
}

verification_tree draft_of(const test_drafter& drafter) {
  return drafter.draft({}, uniform_coins{[](const coin&) { return 0.5; }});
}

} // namespace

RC_GTEST_PROP(TypicalAcceptance, TakesTheLongestAndThenMostLikelyPathThatPasses, ()) {
  const auto [target, drafter] = any_draft_case();
  const double epsilon = any_below(11) / 10.0;
  const double delta = any_below(21) / 10.0;
  const auto draft = draft_of(drafter);
  const auto plan = typical_acceptance{epsilon, delta}.plan(draft, rows_of(target, draft));
  RC_ASSERT(plan.size() == 1U);
  RC_ASSERT(plan.front().probability == 1);
  const auto taken = judge(target, draft, plan.front().row, epsilon, delta);
  RC_ASSERT(taken.stands);
  RC_ASSERT(plan.front().law.tokens == taken.after.tokens);
  RC_ASSERT(plan.front().law.probabilities == taken.after.probabilities);
  for (int row = 0; row < draft.n_rows(); ++row) {
    const auto other = judge(target, draft, row, epsilon, delta);
    const bool better = other.length > taken.length ||
                        (other.length == taken.length && other.likelihood > taken.likelihood + rounding);
    RC_ASSERT(!other.stands || !better);
  }
}

RC_GTEST_PROP(TypicalAcceptance, AcceptsLessTheHigherItsThresholdsAre, ()) {
  const auto [target, drafter] = any_draft_case();
  const double epsilon = any_below(10) / 10.0;
  const double delta = any_below(20) / 10.0;
  const auto draft = draft_of(drafter);
  const double accepted = expected_accepted(typical_acceptance{epsilon, delta}, target, draft);
  RC_ASSERT(accepted >= expected_accepted(typical_acceptance{epsilon + 0.1, delta}, target, draft));
  RC_ASSERT(accepted >= expected_accepted(typical_acceptance{epsilon, delta + 0.1}, target, draft));
  RC_ASSERT(expected_accepted(typical_acceptance{1, 1e9}, target, draft) == 0);
}

TEST(TypicalAcceptance, IsLossyAndTheLawCheckerSeesIt) {
  int n_lossless = 0;
  for (std::uint64_t salt = 0; salt < 60; ++salt) {
    const test_drafter drafter{3, chain_shape(2), random_model(3, 2 * salt)};
    n_lossless += follows_target(typical_acceptance{}, random_model(3, 2 * salt + 1), drafter) ? 1 : 0;
  }
  EXPECT_LT(n_lossless, 6);
  EXPECT_FALSE(typical_acceptance{}.lossless());
}
