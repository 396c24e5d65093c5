#include "policies/exact_match.hpp"
#include "tests/laws/acceptance_law.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

using namespace souffleur;
using namespace souffleur::testing;

namespace {

double uniform_of(std::uint64_t seed, int position, const coin& which) {
  const sequence key{position, static_cast<token_id>(which.purpose), static_cast<token_id>(which.index)};
  return (static_cast<double>(hash_of(key, hash_of({}, seed)) >> 12) + 0.5) * 0x1p-52;
}

/// The coins of a sequence at `position`.
uniform_coins coins_at(std::uint64_t seed, int position) {
  return uniform_coins{[=](const coin& which) { return uniform_of(seed, position + which.offset, which); }};
}

/// Decodes `n` tokens in steps of the drafter's.
sequence decode(const acceptance_policy& policy, const next_law& target, const test_drafter& drafter,
                std::uint64_t seed, std::size_t n) {
  sequence text;
  while (text.size() < n) {
    const auto from = coins_at(seed, static_cast<int>(text.size()));
    const auto draft = drafter.draft(text, from);
    const auto tokens = policy.decide(draft, rows_of(target, draft, text), from).tokens;
    text.insert(text.end(), tokens.begin(), tokens.end());
  }
  text.resize(n);
  return text;
}

double total_variation(const distribution& p, const distribution& q) { return residual_of(1, p, q).mass; }

/// Probability that two races with the same coins have the same winner.
double meeting_probability(const distribution& p, const distribution& q) {
  double sum = 0;
  for (const token_id x : p.tokens) {
    if (probability_of(q, x) == 0) {
      continue;
    }
    double rates = 0;
    for (token_id y = 0; y < 8; ++y) {
      rates +=
          std::max(probability_of(p, y) / probability_of(p, x), probability_of(q, y) / probability_of(q, x));
    }
    sum += 1 / rates;
  }
  return sum;
}

/// Whether `n_hits` of `n` is within six standard deviations.
bool plausible(int n_hits, int n, double probability) {
  const double variance = std::max(0.0, n * probability * (1 - probability));
  return std::abs(n_hits - n * probability) <= 6 * std::sqrt(variance) + 1e-6;
}

} // namespace

RC_GTEST_PROP(CoupledMatch, EmitsTheSameTextWithAndWithoutDrafts, ()) {
  const auto [target, drafter] = any_draft_case();
  const auto seed = any_salt();
  for (const char* name : {"greedy", "coupled", "gumbel"}) {
    const auto policy = make_acceptance_policy(name);
    RC_LOG() << name << '\n';
    RC_ASSERT(decode(*policy, target, drafter, seed, 12) ==
              decode(*policy, target, {drafter.n_vocabulary, {}}, seed, 12));
  }
}

RC_GTEST_PROP(CoupledMatch, TakesTheTokenAtTheCoinOfItsPosition, ()) {
  const auto [target, drafter] = any_draft_case();
  const auto seed = any_salt();
  sequence plain;
  for (int position = 0; position < 12; ++position) {
    plain.push_back(token_at(target(plain), uniform_of(seed, position, {0, rng_purpose::sample})));
  }
  RC_ASSERT(decode(coupled_match{}, target, drafter, seed, 12) == plain);
}

RC_GTEST_PROP(GreedyMatch, EmitsTheMostLikelyTokens, ()) {
  const auto [target, drafter] = any_draft_case();
  sequence plain;
  while (plain.size() < 12) {
    plain.push_back(most_likely(target(plain)));
  }
  RC_ASSERT(decode(greedy_match{}, target, drafter, 1, 12) == plain);
}

RC_GTEST_PROP(CoupledMatch, GoesOnWithTheProbabilityOfTheChildren, ()) {
  const auto n = any_below(5);
  const auto [target, drafter] = any_case(std::vector<int>(static_cast<std::size_t>(n), 0), drafting::chosen);
  const auto draft = drafter.draft({}, coins_at(1, 0));
  double covered = 0;
  for (token_id token = 0; token < drafter.n_vocabulary; ++token) {
    const bool is_child = std::any_of(draft.nodes.begin(), draft.nodes.end(),
                                      [token](const verification_node& node) { return node.token == token; });
    covered += is_child ? probability_of(target({}), token) : 0;
  }
  RC_ASSERT(std::abs(expected_accepted(coupled_match{}, target, draft) - covered) < rounding);
}

RC_GTEST_PROP(Race, IsDrawnFromEachLawAndMeetsAsOftenAsTheFormulaSays, ()) {
  const int n_vocabulary = any_below(6, 2);
  const auto target = any_target(n_vocabulary);
  const auto p = target({});
  const auto q = any_proposal(n_vocabulary, target)({});
  const auto seed = any_salt();
  constexpr int n = 4000;
  std::map<token_id, int> drawn;
  int n_met = 0;
  for (int position = 0; position < n; ++position) {
    const auto from = coins_at(seed, position);
    const token_id token = from.race(0, p);
    ++drawn[token];
    n_met += token == from.race(0, q) ? 1 : 0;
  }
  for (token_id token = 0; token < n_vocabulary; ++token) {
    RC_ASSERT(plausible(drawn[token], n, probability_of(p, token)));
  }
  RC_ASSERT(plausible(n_met, n, meeting_probability(p, q)));
}

RC_GTEST_PROP(Race, MeetsMoreOftenThanTheBoundAndLessThanRejectionSamplingAccepts, ()) {
  const int n_vocabulary = any_below(6, 2);
  const auto target = any_target(n_vocabulary);
  const auto p = target({});
  const auto q = any_proposal(n_vocabulary, target)({});
  const double distance = total_variation(p, q);
  RC_ASSERT(meeting_probability(p, q) >= (1 - distance) / (1 + distance) - rounding);
  RC_ASSERT(meeting_probability(p, q) <= 1 - distance + rounding);
}

TEST(GumbelMatch, AcceptsWhatADrafterRacesForAsOftenAsTheFormulaSays) {
  const auto target = random_model(5, 1);
  const auto proposal = random_model(5, 2);
  constexpr int n = 20000;
  int n_accepted = 0;
  for (int position = 0; position < n; ++position) {
    const auto from = coins_at(3, position);
    const auto draft = chain_of(sequence{from.race(0, proposal({}))});
    n_accepted += gumbel_match{}.decide(draft, rows_of(target, draft), from).n_accepted();
  }
  EXPECT_TRUE(plausible(n_accepted, n, meeting_probability(target({}), proposal({}))));
  EXPECT_FALSE(plausible(n_accepted, n, 1 - total_variation(target({}), proposal({}))));
}
