#include "policies/draft_model_gain.hpp"

#include "tests/policies/drafted_chain.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <random>

using namespace souffleur;
using souffleur::testing::drafted_chain;
using souffleur::testing::emitted_where;

namespace {

draft_tree draft_of(int n_tokens) {
  return drafted_chain(token_origin::draft_model, 0,
                       std::vector<float>(static_cast<std::size_t>(n_tokens), 1.0F));
}

/// Planted bugs that it caught: a token too many counted as one that stood; what was asked for in vain is not
/// counted; the draft's length taken for what was asked.
RC_GTEST_PROP(DraftModelGain, ExpectsNoMoreThanIsAskedAndNeverLessForMore, ()) {
  draft_model_gain gain;
  std::vector<asked_tokens> requests(3);
  const auto events = *rc::gen::container<std::vector<std::tuple<int, int, int, int>>>(rc::gen::tuple(
      rc::gen::inRange(0, 3), rc::gen::inRange(0, 9), rc::gen::inRange(0, 9), rc::gen::inRange(0, 10)));
  for (const auto& [who, n_asked, n_drafted, n_standing] : events) {
    auto& request = requests[static_cast<std::size_t>(who)];
    if (n_asked == 0)
      gain.pass_over(request);
    else
      gain.observe(n_asked, draft_of(std::min(n_asked, n_drafted)),
                   emitted_where(std::min(n_standing, n_drafted)), request);
    RC_ASSERT(request.n_stood >= 0 && request.n_stood <= request.n_tried);
    double before = 0;
    for (int n = 0; n <= 8; ++n) {
      const double now = gain.expected(n, request);
      RC_ASSERT(now >= before && now <= n);
      before = now;
    }
  }
}

TEST(DraftModelGain, LearnsHowOftenTokensStand) {
  std::mt19937 random{3};
  for (const double chance : {0.2, 0.5, 0.9}) {
    draft_model_gain gain;
    asked_tokens request;
    for (int i = 0; i < 500; ++i) {
      int n_right = 0;
      while (n_right < 4 && std::bernoulli_distribution{chance}(random))
        ++n_right;
      gain.observe(4, draft_of(4), emitted_where(n_right), request);
    }
    EXPECT_NEAR(gain.expected(1, request), chance, 0.12);
    EXPECT_NEAR(gain.expected(1, {}), chance, 0.1) << "others learn from it";
  }
}

TEST(DraftModelGain, ARequestThatFaresWorseIsExpectedToGoOnSo) {
  draft_model_gain gain;
  asked_tokens good, bad;
  for (int i = 0; i < 50; ++i) {
    gain.observe(4, draft_of(4), emitted_where(4), good);
    gain.observe(4, draft_of(4), emitted_where(0), bad);
  }
  EXPECT_LT(gain.expected(4, bad), 0.5 * gain.expected(4, good));
}

TEST(DraftModelGain, WhatWasLearntFadesWhereNobodyIsAsked) {
  draft_model_gain gain;
  asked_tokens request;
  for (int i = 0; i < 200; ++i)
    gain.observe(4, draft_of(4), emitted_where(0), request);
  const double given_up = gain.expected(4, request);
  for (int i = 0; i < 1000; ++i)
    gain.pass_over(request);
  EXPECT_LT(given_up, 0.2);
  EXPECT_GT(gain.expected(4, request), 1);
}

} // namespace
