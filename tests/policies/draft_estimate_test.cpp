#include "policies/draft_estimate.hpp"

#include "tests/policies/drafted_chain.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

using namespace souffleur;
using souffleur::testing::drafted_chain;

namespace {

draft_tree gen_draft() {
  const auto origin =
      *rc::gen::element(token_origin::prompt_lookup, token_origin::suffix, token_origin::cache);
  const int match_length = *rc::gen::inRange(0, 40);
  std::vector<float> probabilities(static_cast<std::size_t>(*rc::gen::inRange(1, 9)));
  for (auto& one : probabilities)
    one = static_cast<float>(*rc::gen::inRange(0, 101)) / 100;
  return drafted_chain(origin, match_length, probabilities);
}

} // namespace

RC_GTEST_PROP(DraftEstimate, SurvivalNeverRisesAndIsAProbability, ()) {
  draft_estimate estimate;
  draft_record record;
  const int n_before = *rc::gen::inRange(0, 30);
  for (int i = 0; i < n_before; ++i) {
    const auto draft = gen_draft();
    const int n = *rc::gen::inRange(1, static_cast<int>(draft.nodes.size()) + 1);
    estimate.verified(draft, n, *rc::gen::inRange(0, n + 1), record);
  }
  const auto draft = gen_draft();
  const auto survival = estimate.survival(draft, record);
  RC_ASSERT(survival.size() == draft.nodes.size());
  RC_ASSERT(std::ranges::is_sorted(survival, std::ranges::greater{}));
  for (const double one : survival)
    RC_ASSERT(one > 0 && one < 1);
}

RC_GTEST_PROP(DraftEstimate, LearnsEachDraftersChanceAlone, ()) {
  const double chances[] = {*rc::gen::inRange(1, 10) * 0.1, *rc::gen::inRange(1, 10) * 0.1};
  const token_origin origins[] = {token_origin::prompt_lookup, token_origin::suffix};
  std::mt19937 random{static_cast<unsigned>(*rc::gen::inRange(0, 1 << 30))};
  draft_estimate estimate;
  const std::vector<float> probabilities{0.9F, 0.9F, 0.9F};
  for (int i = 0; i < 1500; ++i) {
    draft_record record; // of a request each, so that none has a fortune of its own
    const auto which = static_cast<std::size_t>(i % 2);
    int n_accepted = 0;
    while (n_accepted < 3 && std::bernoulli_distribution{chances[which]}(random))
      ++n_accepted;
    estimate.verified(drafted_chain(origins[which], 3, probabilities), 3, n_accepted, record);
  }
  for (const std::size_t which : {0U, 1U}) {
    const auto survival = estimate.survival(drafted_chain(origins[which], 3, probabilities), {});
    RC_ASSERT(survival[0] > chances[which] - 0.17);
    RC_ASSERT(survival[0] < chances[which] + 0.17);
  }
}

TEST(DraftEstimate, OfWhatCameAfterTheFirstThatFellNothingIsLearned) {
  const std::vector<float> sure_then_unsure{1.0F, 0.1F};
  draft_estimate estimate;
  const auto before = estimate.survival(drafted_chain(token_origin::suffix, 4, {0.1F}), {});
  draft_record record;
  for (int i = 0; i < 50; ++i)
    estimate.verified(drafted_chain(token_origin::suffix, 4, sure_then_unsure), 2, 0, record);
  const auto after = estimate.survival(drafted_chain(token_origin::suffix, 4, {0.1F}), {});
  EXPECT_EQ(before, after);
}

TEST(DraftEstimate, OfATokenThatGotNoRowNothingIsLearned) {
  const std::vector<float> sure_then_unsure{1.0F, 0.1F};
  const auto unsure = drafted_chain(token_origin::suffix, 4, {sure_then_unsure.back()});
  draft_estimate estimate;
  const auto before = estimate.survival(unsure, {});
  draft_record record;
  for (int i = 0; i < 50; ++i)
    estimate.verified(drafted_chain(token_origin::suffix, 4, sure_then_unsure), 1, 1, record);
  EXPECT_EQ(before, estimate.survival(unsure, {}));
}

TEST(DraftEstimate, ARequestThatDoesWorseThanOthersIsTrustedLess) {
  draft_estimate estimate;
  draft_record poor;
  draft_record rich;
  const std::vector<float> probabilities{1.0F, 1.0F};
  for (int i = 0; i < 200; ++i) {
    estimate.verified(drafted_chain(token_origin::prompt_lookup, 5, probabilities), 2, 0, poor);
    estimate.verified(drafted_chain(token_origin::prompt_lookup, 5, probabilities), 2, 2, rich);
  }
  const auto draft = drafted_chain(token_origin::prompt_lookup, 5, probabilities);
  EXPECT_LT(estimate.survival(draft, poor)[0], 0.3);
  EXPECT_GT(estimate.survival(draft, rich)[0], 0.8);
}
