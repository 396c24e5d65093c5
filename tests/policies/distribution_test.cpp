#include "policies/distribution.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

using namespace souffleur;

namespace {

constexpr token_id n_vocabulary = 6;

distribution any_law() {
  distribution law;
  const auto weights = *rc::gen::container<std::vector<int>>(n_vocabulary, rc::gen::inRange(0, 6));
  const double sum = std::accumulate(weights.begin(), weights.end(), 0);
  RC_PRE(sum > 0);
  for (token_id token = 0; token < n_vocabulary; ++token) {
    if (weights[static_cast<std::size_t>(token)] > 0) {
      law.tokens.push_back(token);
      law.probabilities.push_back(weights[static_cast<std::size_t>(token)] / sum);
    }
  }
  return law;
}

} // namespace

RC_GTEST_PROP(Residual, IsThePositivePartTokenByToken, ()) {
  const auto p = any_law();
  const auto q = any_law();
  const double scale = *rc::gen::inRange(0, 11) / 10.0;
  const auto rest = residual_of(scale, p, q);
  double mass = 0;
  for (token_id token = 0; token < n_vocabulary; ++token) {
    const double over = std::max(0.0, scale * probability_of(p, token) - probability_of(q, token));
    mass += over;
    RC_ASSERT(rest.mass == 0 || std::abs(rest.mass * probability_of(rest.law, token) - over) < 1e-15);
  }
  RC_ASSERT(std::abs(rest.mass - mass) < 1e-15);
  RC_ASSERT(rest.mass > 0 || rest.law.tokens == p.tokens);
}

RC_GTEST_PROP(Distribution, WithoutATokenIsConditional, ()) {
  const auto law = any_law();
  const auto token = *rc::gen::inRange<token_id>(0, n_vocabulary);
  const auto rest = without(law, token);
  RC_ASSERT(probability_of(rest, token) == 0);
  const double mass = 1 - probability_of(law, token);
  for (const token_id other : rest.tokens) {
    RC_ASSERT(std::abs(probability_of(rest, other) * mass - probability_of(law, other)) < 1e-15);
  }
  RC_ASSERT(rest.tokens.size() + (probability_of(law, token) > 0 ? 1 : 0) == law.tokens.size());
}

RC_GTEST_PROP(Distribution, GivesEachTokenTheIntervalOfItsProbability, ()) {
  const auto law = any_law();
  double below = 0;
  for (std::size_t i = 0; i < law.tokens.size(); ++i) {
    RC_ASSERT(token_at(law, below + law.probabilities[i] / 2) == law.tokens[i]);
    RC_ASSERT(index_at(law.probabilities, below + law.probabilities[i] / 2) == i);
    below += law.probabilities[i];
  }
  RC_ASSERT(token_at(law, 1) == law.tokens.back());
}

TEST(Distribution, GivesZeroForAnEmptyLaw) {
  EXPECT_EQ(token_at({}, 0.5), 0);
  EXPECT_EQ(index_at({}, 0.5), 0U);
  EXPECT_EQ(most_likely({}), 0);
  EXPECT_TRUE(without(point_mass(3), 3).tokens.empty());
}

TEST(Distribution, FindsTheMostLikelyTokenAndOfEqualOnesTheLowest) {
  EXPECT_EQ(most_likely({{2, 5, 7}, {0.2, 0.4, 0.4}}), 5);
}
