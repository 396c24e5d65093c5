#include "policies/draft_policy.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

using namespace souffleur;

RC_GTEST_PROP(DraftPolicy, StaysWithinTheCapAndLeavesRoomForTheTargetsToken, ()) {
  const auto any = rc::gen::inRange(-3, 200);
  const draft_situation now{*any, *any, *any, *any, *any};
  const int cap = std::max(0, std::min(now.max_draft_tokens, now.n_remaining_tokens - 1));
  for (const char* name : {"fixed", "adaptive", "off"}) {
    const int n = make_draft_policy(name)->n_draft_tokens(now);
    RC_ASSERT(n >= 0);
    RC_ASSERT(n <= cap);
  }
  RC_ASSERT(make_draft_policy("fixed")->n_draft_tokens(now) == cap);
  RC_ASSERT(make_draft_policy("off")->n_draft_tokens(now) == 0);
}

RC_GTEST_PROP(AdaptiveDraft, GrowsWithTheAcceptedShare, ()) {
  const int proposed = *rc::gen::inRange(8, 100);
  const int accepted = *rc::gen::inRange(0, proposed);
  const int n_running = *rc::gen::inRange(1, 40);
  const auto policy = make_draft_policy("adaptive");
  RC_ASSERT(policy->n_draft_tokens({n_running, 16, 100, proposed, accepted}) <=
            policy->n_draft_tokens({n_running, 16, 100, proposed, accepted + 1}));
}

TEST(AdaptiveDraft, ProbesWithoutEvidenceShrinksWhenPoorAndYieldsToACrowd) {
  const auto policy = make_draft_policy("adaptive");
  EXPECT_GE(policy->n_draft_tokens({1, 8, 100, 0, 0}), 2);
  EXPECT_EQ(policy->n_draft_tokens({1, 1, 100, 0, 0}), 1);
  EXPECT_LE(policy->n_draft_tokens({1, 8, 100, 40, 1}), 2);
  EXPECT_EQ(policy->n_draft_tokens({1, 8, 100, 40, 40}), 8);
  EXPECT_LE(policy->n_draft_tokens({16, 8, 100, 40, 40}), 1);
  EXPECT_EQ(policy->n_draft_tokens({16, 8, 100, 40, 4}), 0);
  EXPECT_EQ(make_draft_policy("none"), nullptr);
}
