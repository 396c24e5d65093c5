#include "policies/draft_estimate.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

using namespace souffleur;

namespace {

struct any_draft {
  token_origin origin;
  int match_length;
  std::vector<float> probabilities;

  draft_evidence evidence() const { return {origin, match_length, probabilities}; }
};

any_draft gen_draft() {
  any_draft draft;
  draft.origin = *rc::gen::element(token_origin::prompt_lookup, token_origin::suffix, token_origin::cache);
  draft.match_length = *rc::gen::inRange(0, 40);
  const int n = *rc::gen::inRange(1, 9);
  for (int i = 0; i < n; ++i)
    draft.probabilities.push_back(static_cast<float>(*rc::gen::inRange(0, 101)) / 100);
  return draft;
}

} // namespace

RC_GTEST_PROP(DraftEstimate, SurvivalNeverRisesAndIsAProbability, ()) {
  draft_estimate estimate;
  draft_record record;
  const int n_before = *rc::gen::inRange(0, 30);
  for (int i = 0; i < n_before; ++i) {
    const auto draft = gen_draft();
    const int n = *rc::gen::inRange(1, static_cast<int>(draft.probabilities.size()) + 1);
    estimate.verified(draft.evidence(), n, *rc::gen::inRange(0, n + 1), record);
  }
  const auto draft = gen_draft();
  const auto survival = estimate.survival(draft.evidence(), record);
  RC_ASSERT(survival.size() == draft.probabilities.size());
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
    estimate.verified({origins[which], 3, probabilities}, 3, n_accepted, record);
  }
  for (const std::size_t which : {0U, 1U}) {
    const auto survival = estimate.survival({origins[which], 3, probabilities}, {});
    RC_ASSERT(survival[0] > chances[which] - 0.17);
    RC_ASSERT(survival[0] < chances[which] + 0.17);
  }
}

TEST(DraftEstimate, OfWhatCameAfterTheFirstThatFellNothingIsLearned) {
  const std::vector<float> sure_then_unsure{1.0F, 0.1F};
  draft_estimate estimate;
  const auto before = estimate.survival({token_origin::suffix, 4, std::vector<float>{0.1F}}, {});
  draft_record record;
  for (int i = 0; i < 50; ++i)
    estimate.verified({token_origin::suffix, 4, sure_then_unsure}, 2, 0, record);
  const auto after = estimate.survival({token_origin::suffix, 4, std::vector<float>{0.1F}}, {});
  EXPECT_EQ(before, after);
}

TEST(DraftEstimate, OfATokenThatGotNoRowNothingIsLearned) {
  const std::vector<float> sure_then_unsure{1.0F, 0.1F};
  const draft_evidence unsure{token_origin::suffix, 4, std::span{sure_then_unsure}.last(1)};
  draft_estimate estimate;
  const auto before = estimate.survival(unsure, {});
  draft_record record;
  for (int i = 0; i < 50; ++i)
    estimate.verified({token_origin::suffix, 4, sure_then_unsure}, 1, 1, record);
  EXPECT_EQ(before, estimate.survival(unsure, {}));
}

TEST(DraftEstimate, ARequestThatDoesWorseThanOthersIsTrustedLess) {
  draft_estimate estimate;
  draft_record poor;
  draft_record rich;
  const std::vector<float> probabilities{1.0F, 1.0F};
  for (int i = 0; i < 200; ++i) {
    estimate.verified({token_origin::prompt_lookup, 5, probabilities}, 2, 0, poor);
    estimate.verified({token_origin::prompt_lookup, 5, probabilities}, 2, 2, rich);
  }
  const draft_evidence draft{token_origin::prompt_lookup, 5, probabilities};
  EXPECT_LT(estimate.survival(draft, poor)[0], 0.3);
  EXPECT_GT(estimate.survival(draft, rich)[0], 0.8);
}
