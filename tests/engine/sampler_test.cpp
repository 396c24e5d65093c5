#include "engine/sampler.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>

using namespace souffleur;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

/// The pipeline as algorithms 1.1 writes it, with full sorts and in double, for finite logits and T > 0.
std::vector<double> reference(const std::vector<float>& logits, const sampling_params& params,
                              const token_counts& counts, const std::vector<token_id>& forbidden) {
  const std::size_t n = logits.size();
  std::vector<float> z = logits;
  for (const auto& [token, bias] : params.logit_bias) {
    z[static_cast<std::size_t>(token)] += bias;
  }
  for (std::size_t i = 0; i < n; ++i) {
    const auto id = static_cast<token_id>(i);
    const int n_output = counts.output.contains(id) ? counts.output.at(id) : 0;
    if (n_output > 0 || counts.prompt.contains(id)) {
      z[i] = z[i] > 0 ? z[i] / params.repetition_penalty : z[i] * params.repetition_penalty;
    }
    if (n_output > 0) {
      z[i] -= params.presence_penalty + params.frequency_penalty * static_cast<float>(n_output);
    }
  }
  for (const token_id token : forbidden) {
    z[static_cast<std::size_t>(token)] = -infinity;
  }
  std::vector<std::size_t> order(n);
  std::iota(order.begin(), order.end(), 0U);
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return z[a] > z[b]; });
  if (params.top_k > 0 && static_cast<std::size_t>(params.top_k) < n) {
    order.resize(static_cast<std::size_t>(params.top_k));
  }
  std::vector<double> p(n, 0);
  double sum = 0;
  for (const auto i : order) {
    sum += p[i] = std::exp((static_cast<double>(z[i]) - z[order[0]]) / params.temperature);
  }
  double before = 0;
  double kept = 0;
  for (const auto i : order) {
    const double own = p[i] / sum;
    const bool inside = params.top_p >= 1 || before < static_cast<double>(params.top_p) || i == order[0];
    p[i] = inside && p[i] >= static_cast<double>(params.min_p) ? p[i] : 0;
    kept += p[i];
    before += own;
  }
  for (double& x : p) {
    x /= kept;
  }
  return p;
}

struct scenario {
  std::vector<float> logits;
  sampling_params params;
  token_counts counts;
  std::vector<token_id> forbidden;
};

/// Logits on a grid, so that ties are common.
scenario any_scenario() {
  scenario s;
  const int n = *rc::gen::inRange(2, 200);
  for (const int k :
       *rc::gen::container<std::vector<int>>(static_cast<std::size_t>(n), rc::gen::inRange(-20, 20))) {
    s.logits.push_back(static_cast<float>(k) / 4);
  }
  const auto token = rc::gen::inRange<token_id>(0, n);
  s.params.temperature = *rc::gen::element(0.3F, 0.8F, 1.0F, 2.0F);
  s.params.top_k = *rc::gen::element(0, 0, 1, 3, 17, 1000);
  s.params.top_p = *rc::gen::element(1.0F, 1.0F, 0.913F, 0.4999F, 0.0001F);
  s.params.min_p = *rc::gen::element(0.0F, 0.0F, 0.0503F, 0.7001F);
  s.params.repetition_penalty = *rc::gen::element(1.0F, 1.3F, 0.7F);
  s.params.presence_penalty = *rc::gen::element(0.0F, 0.5F, -1.0F);
  s.params.frequency_penalty = *rc::gen::element(0.0F, 0.25F);
  for (const token_id t : *rc::gen::container<std::vector<token_id>>(3, token)) {
    s.params.logit_bias.emplace_back(t, 1.5F);
    s.counts.prompt[*token] = 1;
    s.counts.output[*token] = *rc::gen::inRange(1, 4);
  }
  s.forbidden = {*token};
  return s;
}

distribution law_of(scenario s) {
  return next_token_distribution(s.logits, s.params, &s.counts, s.forbidden);
}

bool is_law(const distribution& law) {
  return !law.tokens.empty() && law.tokens.size() == law.probabilities.size() &&
         std::ranges::adjacent_find(law.tokens, std::greater_equal<>()) == law.tokens.end() &&
         std::ranges::all_of(law.probabilities, [](double p) { return p > 0; }) &&
         std::abs(std::accumulate(law.probabilities.begin(), law.probabilities.end(), 0.0) - 1) < 1e-9;
}

} // namespace

TEST(Philox, GivesTheKnownAnswersOfItsAuthors) {
  using block = std::array<std::uint32_t, 4>;
  EXPECT_EQ(philox4x32_10({0, 0, 0, 0}, {0, 0}), (block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  constexpr std::uint32_t ones = 0xffffffff;
  EXPECT_EQ(philox4x32_10({ones, ones, ones, ones}, {ones, ones}),
            (block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32_10({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(CounterUniform, IsDistinctForEveryArgumentAndInsideTheOpenInterval) {
  std::set<double> seen;
  std::size_t n = 0;
  double sum = 0;
  for (const std::uint64_t seed : {0ULL, 1ULL, 1ULL << 32}) {
    for (const std::uint64_t high : {0ULL, 1ULL << 32}) {
      for (std::uint64_t position = 0; position < 200; ++position) {
        for (const auto purpose : {rng_purpose::sample, rng_purpose::accept}) {
          for (std::uint32_t index = 0; index < 3; ++index, ++n) {
            const double u = counter_uniform(seed, high + position, purpose, index);
            ASSERT_TRUE(u > 0 && u < 1);
            seen.insert(u);
            sum += u;
          }
        }
      }
    }
  }
  EXPECT_EQ(seen.size(), n);
  EXPECT_NEAR(sum / static_cast<double>(n), 0.5, 0.02);
}

// Fails if top-p runs before top-k, if ties keep the higher id, or if the repetition penalty only divides.
RC_GTEST_PROP(NextTokenDistribution, AgreesWithTheReferencePipeline, ()) {
  const auto s = any_scenario();
  const auto law = law_of(s);
  const auto wanted = reference(s.logits, s.params, s.counts, s.forbidden);
  RC_ASSERT(is_law(law));
  std::vector<double> dense(s.logits.size(), 0);
  for (std::size_t i = 0; i < law.tokens.size(); ++i) {
    dense[static_cast<std::size_t>(law.tokens[i])] = law.probabilities[i];
  }
  for (std::size_t i = 0; i < dense.size(); ++i) {
    RC_ASSERT(std::abs(dense[i] - wanted[i]) < 1e-9);
  }
  RC_ASSERT(!std::ranges::binary_search(law.tokens, s.forbidden[0]));
}

RC_GTEST_PROP(NextTokenDistribution, TakesTheLowestIdMaximumAtTemperatureZero, ()) {
  auto s = any_scenario();
  s.params = {};
  s.params.temperature = 0;
  s.logits[static_cast<std::size_t>(s.forbidden[0])] = -100;
  const auto best = std::ranges::max_element(s.logits) - s.logits.begin();
  RC_ASSERT(law_of(s).tokens == std::vector<token_id>{static_cast<token_id>(best)});
  RC_ASSERT(argmax(s.logits) == static_cast<token_id>(best));
}

RC_GTEST_PROP(NextTokenDistribution, IsALawForAnyBitsAndAnyParameters, ()) {
  const auto odd =
      rc::gen::element(0.0F, 1.0F, -1.0F, infinity, -infinity, std::nanf(""), 3e38F, -3e38F, 1e-45F);
  scenario s;
  s.logits = *rc::gen::container<std::vector<float>>(odd);
  s.params.temperature = *odd;
  s.params.top_p = *odd;
  s.params.min_p = *odd;
  s.params.repetition_penalty = *odd;
  s.params.presence_penalty = *odd;
  s.params.top_k = *rc::gen::inRange(-2, 50);
  s.params.logit_bias = {{-1, 1.0F}, {3, *odd}, {1 << 30, 1.0F}};
  s.counts.output = {{-5, 1}, {0, 2}, {1 << 30, 1}};
  s.forbidden = {-1, 2, 1 << 30};
  RC_ASSERT(is_law(law_of(s)));
  const auto logprobs = logprobs_of(s.logits, *rc::gen::inRange(-2, 40), 5);
  RC_ASSERT(!std::isnan(logprobs.chosen));
}

TEST(NextTokenDistribution, FallsBackToWhatCameInIfEverythingIsForbidden) {
  std::vector<float> logits = {1, 3, 3};
  const std::vector<token_id> all = {0, 1, 2};
  EXPECT_EQ(next_token_distribution(logits, {}, nullptr, all).tokens, std::vector<token_id>{1});
}

RC_GTEST_PROP(NextTokenDistribution, DoesNotChangeIfEveryLogitIsBiasedAlike, ()) {
  auto s = any_scenario();
  s.params.repetition_penalty = 1;
  const auto plain = law_of(s);
  for (std::size_t i = 0; i < s.logits.size(); ++i) {
    s.params.logit_bias.emplace_back(static_cast<token_id>(i), 8.0F);
  }
  const auto biased = law_of(s);
  RC_ASSERT(plain.tokens == biased.tokens);
  RC_ASSERT(plain.probabilities == biased.probabilities);
}

RC_GTEST_PROP(Sample, GivesEachTokenAnIntervalAsLongAsItsProbability, ()) {
  const auto law = law_of(any_scenario());
  double below = 0;
  for (std::size_t i = 0; i < law.tokens.size(); ++i) {
    const double p = law.probabilities[i];
    if (p > 1e-9) { // shorter intervals drown in the rounding of the sum
      RC_ASSERT(sample(law, below + p * 1e-3) == law.tokens[i]);
      RC_ASSERT(sample(law, below + p * 0.999) == law.tokens[i]);
    }
    below += p;
  }
  RC_ASSERT(sample(law, 1.0) == law.tokens.back());
}

RC_GTEST_PROP(LogprobsOf, IsTheLogSoftmaxAndItsLargestEntries, ()) {
  const auto s = any_scenario();
  const int n_top = *rc::gen::inRange(0, 10);
  const auto chosen = s.forbidden[0];
  double sum = 0;
  for (const float x : s.logits) {
    sum += std::exp(static_cast<double>(x));
  }
  const auto expected = [&](token_id t) { return s.logits[static_cast<std::size_t>(t)] - std::log(sum); };
  const auto result = logprobs_of(s.logits, chosen, n_top);
  RC_ASSERT(std::abs(result.chosen - expected(chosen)) < 1e-5);
  RC_ASSERT(result.top.size() == std::min(static_cast<std::size_t>(n_top), s.logits.size()));
  auto sorted = s.logits;
  std::ranges::sort(sorted, std::greater<>());
  for (std::size_t i = 0; i < result.top.size(); ++i) {
    RC_ASSERT(s.logits[static_cast<std::size_t>(result.top[i].first)] == sorted[i]);
    RC_ASSERT(std::abs(result.top[i].second - expected(result.top[i].first)) < 1e-5);
  }
}
