#include "policies/draft_estimate.hpp"

#include "tests/policies/drafted_chain.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <optional>
#include <random>
#include <vector>

using namespace souffleur;
using souffleur::testing::drafted_chain;
using souffleur::testing::emitted_where;

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
    estimate.observe(draft, emitted_where(*rc::gen::inRange(0, static_cast<int>(draft.nodes.size()) + 1)),
                     record);
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
    estimate.observe(drafted_chain(origins[which], 3, probabilities), emitted_where(n_accepted), record);
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
    estimate.observe(drafted_chain(token_origin::suffix, 4, sure_then_unsure), std::vector<token_id>{1, 0, 0},
                     record);
  const auto after = estimate.survival(drafted_chain(token_origin::suffix, 4, {0.1F}), {});
  EXPECT_EQ(before, after);
}

TEST(DraftEstimate, OfWhatIsBeyondTheEmittedTokensNothingIsLearned) {
  const std::vector<float> sure_then_unsure{1.0F, 0.1F};
  const auto unsure = drafted_chain(token_origin::suffix, 4, {sure_then_unsure.back()});
  draft_estimate estimate;
  const auto before = estimate.survival(unsure, {});
  draft_record record;
  for (int i = 0; i < 50; ++i)
    estimate.observe(drafted_chain(token_origin::suffix, 4, sure_then_unsure), std::vector<token_id>{0},
                     record);
  EXPECT_EQ(before, estimate.survival(unsure, {}));
}

TEST(DraftEstimate, ARequestThatDoesWorseThanOthersIsTrustedLess) {
  draft_estimate estimate;
  draft_record poor;
  draft_record rich;
  const std::vector<float> probabilities{1.0F, 1.0F};
  for (int i = 0; i < 200; ++i) {
    estimate.observe(drafted_chain(token_origin::prompt_lookup, 5, probabilities), emitted_where(0), poor);
    estimate.observe(drafted_chain(token_origin::prompt_lookup, 5, probabilities), emitted_where(2), rich);
  }
  const auto draft = drafted_chain(token_origin::prompt_lookup, 5, probabilities);
  EXPECT_LT(estimate.survival(draft, poor)[0], 0.3);
  EXPECT_GT(estimate.survival(draft, rich)[0], 0.8);
}

/// Planted bugs that they caught: what was expected, or what stood, does not fade; every token expected to
/// stand; what all requests learnt does not fade.
TEST(DraftEstimate, ARequestsFortuneIsThatOfItsLastDrafts) {
  draft_estimate estimate;
  draft_record others;
  const auto draft = drafted_chain(token_origin::suffix, 5, {1.0F});
  for (int i = 0; i < 2000; ++i) // half of them stand, so that one request has little to say about all
    estimate.observe(draft, emitted_where(i % 2), others);
  const auto of_all = estimate.survival(draft, {})[0];
  draft_record changing;
  for (int i = 0; i < 60; ++i)
    estimate.observe(draft, emitted_where(0), changing);
  EXPECT_LT(estimate.survival(draft, changing)[0], 0.5 * estimate.survival(draft, {})[0]);
  for (int i = 0; i < 40; ++i)
    estimate.observe(draft, emitted_where(1), changing);
  EXPECT_GT(estimate.survival(draft, changing)[0], 1.2 * estimate.survival(draft, {})[0]);
  EXPECT_NEAR(of_all, 0.5, 0.05);
}

TEST(DraftEstimate, WhatAllRequestsBroughtFades) {
  draft_estimate estimate;
  const auto draft = drafted_chain(token_origin::suffix, 5, {1.0F});
  const auto after = [&](int n_standing, int n_times) {
    for (int i = 0; i < n_times; ++i) {
      draft_record another;
      estimate.observe(draft, emitted_where(n_standing), another);
    }
    return estimate.survival(draft, {})[0];
  };
  EXPECT_GT(after(1, 5000), 0.95);
  EXPECT_LT(after(0, 600), 0.2);
}

/// Planted bug that it caught: every token expected to stand, so that who is as fortunate as others seems not
/// to be.
TEST(DraftEstimate, ARequestAsFortunateAsOthersIsTrustedAsTheyAre) {
  draft_estimate estimate;
  draft_record record;
  const auto draft = drafted_chain(token_origin::suffix, 5, {1.0F});
  std::mt19937 random{11};
  double sum = 0;
  for (int i = 0; i < 4000; ++i) {
    estimate.observe(draft, emitted_where(random() % 10 < 3 ? 1 : 0), record);
    sum += i < 1000 ? 0 : estimate.survival(draft, record)[0];
  }
  EXPECT_NEAR(sum / 3000, 0.3, 0.06);
}

TEST(DraftEstimate, ARequestsFortuneWithOneDrafterIsNotThatWithAnother) {
  draft_estimate estimate;
  draft_record record;
  const std::vector<float> probabilities{1.0F};
  const auto other = drafted_chain(token_origin::answers, 5, probabilities);
  const auto before = estimate.survival(other, record);
  for (int i = 0; i < 20; ++i)
    estimate.observe(drafted_chain(token_origin::suffix, 5, probabilities), emitted_where(0), record);
  EXPECT_EQ(estimate.survival(other, record), before);
}

/// Of a tree, whose siblings differ: a walk along what was emitted tries the children of each token on it.
RC_GTEST_PROP(DraftEstimate, LearnsOfATreeWhatItLearnsOfItsPathsWithTheSiblingsThatFell, ()) {
  // Every token has a bucket of its own by its likelihood, so that the counts tell who was tried.
  const std::vector<float> likelihoods{0.1F, 0.3F, 0.6F, 0.9F};
  draft_tree tree{{}, 3, token_origin::suffix};
  for (int i = 0; i < 4; ++i)
    tree.nodes.push_back({static_cast<token_id>(10 + i), i == 0 ? -1 : *rc::gen::inRange(-1, i),
                          likelihoods[static_cast<std::size_t>(i)]});
  std::vector<token_id> emitted;
  std::vector<std::optional<bool>> stood(4); // nothing: not tried
  for (int parent = -1; emitted.size() < 3;) {
    std::vector<int> children;
    for (int i = 0; i < 4; ++i)
      if (tree.nodes[static_cast<std::size_t>(i)].parent == parent)
        children.push_back(i);
    const int next = children.empty() || *rc::gen::inRange(0, 3) == 0 ? -2 : *rc::gen::elementOf(children);
    emitted.push_back(next < 0 ? 99 : tree.nodes[static_cast<std::size_t>(next)].token);
    for (const int child : children)
      stood[static_cast<std::size_t>(child)] = child == next;
    if (next < 0)
      break;
    parent = next;
  }
  if (!emitted.empty() &&
      emitted.back() == 99) // another draft stood further, with tokens that are in this one
    emitted.insert(emitted.end(), {10, 11, 12, 13});
  draft_estimate estimate;
  draft_record record;
  const auto chance = [&](int i) {
    return estimate.survival(
        drafted_chain(token_origin::suffix, 3, {likelihoods[static_cast<std::size_t>(i)]}), {})[0];
  };
  std::vector<double> before;
  for (int i = 0; i < 4; ++i)
    before.push_back(chance(i));
  estimate.observe(tree, emitted, record);
  for (int i = 0; i < 4; ++i) {
    const auto k = static_cast<std::size_t>(i);
    const double now = chance(i);
    const bool is_right = !stood[k] ? now == before[k] : *stood[k] ? now > before[k] : now < before[k];
    RC_ASSERT(is_right);
  }
}

RC_GTEST_PROP(DraftEstimate, OfATokenInATreeSurvivalIsItsPathsAlone, ()) {
  draft_tree tree{{}, 3, token_origin::suffix};
  for (int i = 0; i < 6; ++i)
    tree.nodes.push_back({static_cast<token_id>(i), *rc::gen::inRange(-1, i),
                          static_cast<float>(*rc::gen::inRange(0, 101)) / 100});
  const draft_estimate estimate;
  const auto survival = estimate.survival(tree, {});
  for (int i = 0; i < 6; ++i) {
    std::vector<float> path;
    for (int at = i; at >= 0; at = tree.nodes[static_cast<std::size_t>(at)].parent)
      path.insert(path.begin(), tree.nodes[static_cast<std::size_t>(at)].probability);
    const auto alone = estimate.survival(drafted_chain(token_origin::suffix, 3, path), {});
    RC_ASSERT(survival[static_cast<std::size_t>(i)] == alone.back());
  }
}
