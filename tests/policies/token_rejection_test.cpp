#include "policies/token_rejection.hpp"
#include "tests/laws/acceptance_law.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

using namespace souffleur;
using namespace souffleur::testing;

namespace {

double agreement(const distribution& p, const distribution& q) { return 1 - residual_of(1, p, q).mass; }

/// Probability that one of `n` independent draws from q stands, if each has the residual that the one before
/// left.
double accepted_with_replacement(distribution p, const distribution& q, int n) {
  double none = 1;
  for (int i = 0; i < n; ++i) {
    none *= 1 - agreement(p, q);
    p = residual_of(1, p, q).law;
  }
  return 1 - none;
}

} // namespace

RC_GTEST_PROP(TokenRejection, AcceptsTheFirstTokenAsOftenAsTheLawsAgree, ()) {
  const auto [target, drafter] = any_case({0}, drafting::drawn);
  RC_PRE(!drafter.stops_early);
  RC_ASSERT(std::abs(expected_accepted(token_rejection{}, target, drafter) -
                     agreement(target({}), drafter.proposal({}))) < rounding);
}

RC_GTEST_PROP(TokenRejection, AcceptsABeginningWithTheProductOfItsRatios, ()) {
  const auto [target, drafter] = any_chain(drafting::drawn);
  for_outcomes([&, &drafter = drafter](const coins& from) { return drafter.draft({}, from); },
               [&, &target = target](double, const verification_tree& draft) {
                 const auto plan = token_rejection{}.plan(draft, rows_of(target, draft));
                 double reached = 1;
                 double product = 1;
                 sequence before;
                 for (int row = 0; row < draft.n_rows(); ++row) {
                   RC_ASSERT(plan[static_cast<std::size_t>(row)].row == row);
                   RC_ASSERT(std::abs(reached - product) < rounding);
                   reached -= plan[static_cast<std::size_t>(row)].probability;
                   if (row + 1 < draft.n_rows()) {
                     const token_id token = draft.node(row + 1).token;
                     product *= std::min(1.0, probability_of(target(before), token) /
                                                  probability_of(draft.proposal(row), token));
                     before.push_back(token);
                   }
                 }
               });
}

RC_GTEST_PROP(TokenRejection, AcceptsASiblingMoreOftenThanWithReplacement, ()) {
  const auto n = any_below(4, 1);
  auto [target, drafter] = any_case(std::vector<int>(static_cast<std::size_t>(n), 0), drafting::drawn);
  drafter.stops_early = false;
  RC_ASSERT(expected_accepted(token_rejection{}, target, drafter) >=
            accepted_with_replacement(target({}), drafter.proposal({}), n) - rounding);
}

TEST(TokenRejection, FollowsAnExampleByHand) {
  // p = (1/2, 1/4, 1/4), q = (1/4, 3/4, 0), drafted 1: stands with (1/4) / (3/4); max(p − q, 0) = (1/4, 0,
  // 1/4).
  const distribution p{{0, 1, 2}, {0.5, 0.25, 0.25}};
  const distribution q{{0, 1}, {0.25, 0.75}};
  const distribution after{{2}, {1}};
  const auto draft = chain_of(sequence{1}, {q});
  const auto plan = token_rejection{}.plan(draft, [&](int row) { return row == 0 ? p : after; });
  ASSERT_EQ(plan.size(), 2U);
  EXPECT_DOUBLE_EQ(plan[0].probability, 2.0 / 3);
  EXPECT_EQ(plan[0].law.tokens, (sequence{0, 2}));
  EXPECT_EQ(plan[0].law.probabilities, (std::vector<double>{0.5, 0.5}));
  EXPECT_DOUBLE_EQ(plan[1].probability, 1.0 / 3);
  EXPECT_EQ(plan[1].law.tokens, after.tokens);
}

TEST(TokenRejection, TakesATokenThatTheProposalCannotGiveForChosen) {
  const auto draft = chain_of(sequence{1}, {point_mass(0)});
  const auto plan = token_rejection{}.plan(draft, [](int) { return distribution{{0, 1}, {0.75, 0.25}}; });
  EXPECT_DOUBLE_EQ(plan[0].probability, 0.75);
  EXPECT_EQ(plan[0].law.tokens, sequence{0});
}
