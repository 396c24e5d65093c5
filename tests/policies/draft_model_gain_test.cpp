#include "policies/draft_model_gain.hpp"

#include "tests/policies/drafted_chain.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <utility>
#include <vector>

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

/// Counts as the description has them: of the tokens that were asked for and looked at, each one's share
/// fades.
struct plain_counts {
  std::vector<std::pair<int, int>> tried_and_stood; ///< the newest last; a pass over has {-1, -1}

  asked_tokens now(double decay, double decay_when_passed_over) const {
    asked_tokens counted;
    double share = 1;
    for (auto one = tried_and_stood.rbegin(); one != tried_and_stood.rend(); ++one) {
      if (one->first < 0) {
        share *= decay_when_passed_over;
        continue;
      }
      counted.n_tried += share * one->first;
      counted.n_stood += share * one->second;
      share *= decay;
    }
    return counted;
  }
};

/// Planted bugs that it caught: a request's own counts do not fade, or those of who is passed over, or only
/// what was tried, or what stood; the token after the last one asked for counted; all that were asked for
/// counted as tried; tokens after the answer's end counted.
RC_GTEST_PROP(DraftModelGain, CountsWhatWasLookedAtAndLetsItFade, ()) {
  draft_model_gain gain;
  asked_tokens request;
  plain_counts counts;
  for (int n = *rc::gen::inRange(0, 30); n > 0; --n) {
    const int n_asked = *rc::gen::inRange(0, 9);
    if (n_asked == 0) {
      gain.pass_over(request);
      counts.tried_and_stood.emplace_back(-1, -1);
    } else {
      const int n_drafted = *rc::gen::inRange(0, n_asked + 1);
      const int n_standing = *rc::gen::inRange(0, n_drafted + 1);
      auto emitted = emitted_where(n_standing);
      // Another draft may have stood beyond; or the text ends.
      emitted.resize(static_cast<std::size_t>(*rc::gen::inRange(1, n_standing + 5)), 0);
      gain.observe(n_asked, draft_of(n_drafted), emitted, request);
      const int n_seen = std::min(n_asked, static_cast<int>(emitted.size()));
      const int n_stood = std::min(n_standing, n_seen);
      counts.tried_and_stood.emplace_back(std::min(n_stood + 1, n_seen), n_stood);
    }
    const auto expected = counts.now(0.95, 0.995);
    RC_ASSERT(std::abs(request.n_tried - expected.n_tried) < 1e-9);
    RC_ASSERT(std::abs(request.n_stood - expected.n_stood) < 1e-9);
  }
}

/// Planted bugs that it caught: every token as likely as the first; the first sure.
RC_GTEST_PROP(DraftModelGain, ExpectsTokensToStandInARowByOneChance, ()) {
  draft_model_gain gain;
  const asked_tokens request{*rc::gen::inRange(0, 20) + 20.0, 1.0 * *rc::gen::inRange(0, 20)};
  const double chance = gain.expected(1, request);
  double all_before = 1;
  double sum = 0;
  for (int n = 1; n <= 8; ++n) {
    sum += all_before *= chance;
    RC_ASSERT(std::abs(gain.expected(n, request) - sum) < 1e-9);
  }
  RC_ASSERT(chance < 1);
}

TEST(DraftModelGain, WhatIsNotKnownYetIsWorthATry) {
  EXPECT_GT(draft_model_gain{}.expected(1, {}), 0.6);
  EXPECT_LT(draft_model_gain{}.expected(1, {}), 0.9);
}

/// Planted bugs that it caught: others' counts do not fade by questions, or where nobody is asked.
TEST(DraftModelGain, WhatOthersBroughtFades) {
  draft_model_gain gain;
  const auto after = [&](int n_standing, int n_times) {
    for (int i = 0; i < n_times; ++i) {
      asked_tokens another;
      gain.observe(4, draft_of(4), emitted_where(n_standing), another);
    }
    return gain.expected(1, {});
  };
  EXPECT_GT(after(4, 2000), 0.95);
  EXPECT_LT(after(0, 300), 0.3);
  for (int i = 0; i < 3000; ++i) {
    asked_tokens another;
    gain.pass_over(another);
  }
  EXPECT_GT(gain.expected(1, {}), 0.7) << "as in the beginning";
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
