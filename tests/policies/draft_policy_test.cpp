#include "policies/draft_policy.hpp"

#include "tests/policies/drafted_chain.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <functional>
#include <numeric>
#include <random>
#include <vector>

using namespace souffleur;
using souffleur::testing::drafted_chain;
using souffleur::testing::emitted_where;

namespace {

const std::vector<step_time> flat_then_steep{{1, 100}, {2, 105}, {4, 115}, {8, 190}, {16, 380}, {32, 760}};
const std::vector<step_time> all_rows_cost_alike{{1, 100}, {32, 3200}};

/// A step's drafts, with what they point to.
struct drafted_step {
  std::vector<draft_record> records;
  int most_of_model = 0;
  int n_behind_model = 0;
  int n_remaining_tokens = 100;

  /// Another sequence, with one draft.
  void add(const std::vector<float>& probabilities, int match_length, int n_most) {
    drafts_.emplace_back();
    records.emplace_back();
    most_.push_back(n_most);
    add_draft(probabilities, match_length);
  }
  /// Another draft for the sequence that was added last.
  void add_draft(const std::vector<float>& probabilities, int match_length,
                 token_origin origin = token_origin::suffix) {
    drafts_.back().push_back(drafted_chain(origin, match_length, probabilities));
  }
  std::span<const draft_candidate> all() {
    candidates_.clear();
    for (std::size_t i = 0; i < drafts_.size(); ++i)
      candidates_.push_back(
          {drafts_[i], most_[i], &records[i], most_of_model, n_behind_model, n_remaining_tokens});
    return candidates_;
  }
  int n_decoding() const { return static_cast<int>(drafts_.size()); }
  const draft_tree& draft(std::size_t sequence) const { return drafts_[sequence].front(); }

private:
  std::vector<std::vector<draft_tree>> drafts_;
  std::vector<int> most_;
  std::vector<draft_candidate> candidates_;
};

std::vector<float> gen_probabilities() {
  std::vector<float> draft(static_cast<std::size_t>(*rc::gen::inRange(0, 9)));
  for (auto& one : draft)
    one = static_cast<float>(*rc::gen::inRange(0, 101)) / 100;
  return draft;
}

drafted_step gen_step() {
  drafted_step step;
  const int n = *rc::gen::inRange(1, 12);
  for (int i = 0; i < n; ++i) {
    step.add(gen_probabilities(), *rc::gen::inRange(0, 20), *rc::gen::inRange(0, 9));
    for (int more = *rc::gen::inRange(0, 3); more > 0; --more)
      step.add_draft(gen_probabilities(), *rc::gen::inRange(0, 20),
                     *rc::gen::element(token_origin::answers, token_origin::recycling));
  }
  return step;
}

std::vector<int> n_of(const std::vector<draft_choice>& choices) {
  std::vector<int> all;
  for (const auto& choice : choices)
    all.push_back(choice.n_tokens);
  return all;
}

} // namespace

RC_GTEST_PROP(DraftPolicy, StaysWithinTheCapAndLeavesRoomForTheTargetsToken, ()) {
  const auto any = rc::gen::inRange(-3, 200);
  const draft_situation now{*any, *any, *any};
  const int cap = std::max(0, std::min(now.max_draft_tokens, now.n_remaining_tokens - 1));
  for (const char* name : {"fixed", "adaptive", "off"}) {
    const int n = make_draft_policy(name)->n_wished(now);
    RC_ASSERT(n >= 0);
    RC_ASSERT(n <= cap);
  }
  RC_ASSERT(make_draft_policy("fixed")->n_wished(now) == cap);
  RC_ASSERT(make_draft_policy("off")->n_wished(now) == 0);
}

RC_GTEST_PROP(DraftPolicy, GivesNoDraftMoreRowsThanItMayHave, ()) {
  auto step = gen_step();
  const int n_prefill_rows = *rc::gen::inRange(0, 100);
  const step_shape shape{step.n_decoding() + n_prefill_rows, step.n_decoding()};
  for (const char* name : {"fixed", "adaptive", "off"}) {
    const auto candidates = step.all();
    const auto choices = make_draft_policy(name, {flat_then_steep})->choose(candidates, shape);
    RC_ASSERT(choices.size() == candidates.size());
    for (std::size_t i = 0; i < choices.size(); ++i) {
      const auto& [which, n_tokens] = choices[i];
      RC_ASSERT(which >= 0 && which < static_cast<int>(candidates[i].drafts.size()));
      const auto n_drafted =
          static_cast<int>(candidates[i].drafts[static_cast<std::size_t>(which)].nodes.size());
      RC_ASSERT(n_tokens >= 0);
      RC_ASSERT(n_tokens <= std::min(candidates[i].n_most, n_drafted));
      if (std::string_view{name} == "fixed")
        RC_ASSERT(n_tokens == std::min(candidates[i].n_most, n_drafted));
      if (std::string_view{name} == "off")
        RC_ASSERT(n_tokens == 0);
    }
  }
}

TEST(DraftPolicy, HasNothingToChooseWhereNobodyDrafted) {
  draft_record record;
  const draft_candidate nothing{{}, 8, &record};
  for (const char* name : {"fixed", "adaptive", "off"})
    EXPECT_EQ(make_draft_policy(name)->choose(std::span{&nothing, 1}, {1, 1})[0].n_tokens, 0) << name;
}

/// A tree in which later tokens may be likelier to stand than earlier ones.
draft_tree gen_tree() {
  draft_tree tree{{}, *rc::gen::inRange(0, 20), token_origin::suffix};
  for (int i = *rc::gen::inRange(0, 5); i > 0; --i) {
    const int n = static_cast<int>(tree.nodes.size());
    tree.nodes.push_back({n, *rc::gen::inRange(-1, n), *rc::gen::element(0.05F, 0.3F, 0.6F, 1.0F)});
  }
  return tree;
}

/// What each token of the draft is worth: it is not taken without those before it.
std::vector<double> worths_of(const draft_candidate& candidate) {
  const draft_estimate estimate;
  auto worths = estimate.survival(candidate.drafts.front(), *candidate.record);
  for (std::size_t i = 1; i < worths.size(); ++i)
    worths[i] = std::min(worths[i], worths[i - 1]);
  return worths;
}

/// Against all choices of beginnings, with the same estimates: none brings more tokens a second by more than
/// what is not worth the doubt. Planted bugs that it caught: what is worth less before what is worth more; a
/// token of a tree taken for more than one before it; no gain, or a large one, is the least that counts.
RC_GTEST_PROP(AdaptiveDraft, NoOtherChoiceIsExpectedToBeFaster, ()) {
  std::vector<draft_tree> trees(static_cast<std::size_t>(*rc::gen::inRange(1, 4)));
  std::vector<draft_record> records(trees.size());
  std::vector<draft_candidate> whole;
  for (std::size_t i = 0; i < trees.size(); ++i) {
    trees[i] = gen_tree();
    whole.push_back({{&trees[i], 1}, static_cast<int>(trees[i].nodes.size()), &records[i]});
  }
  const auto n = static_cast<int>(whole.size());
  const step_shape shape{n + *rc::gen::inRange(0, 3), n};
  // No row for nothing: else the last of equals would be a matter of rounding.
  const known_costs costs{{{1, 100}, {2, 106}, {4, 118}, {8, 190}, {16, 380}, {32, 760}}, {}};
  const step_cost cost{costs.steps};
  const auto planned = n_of(make_draft_policy("adaptive", costs)->choose(whole, shape));
  const auto speed = [&](const std::vector<int>& choice) {
    double tokens = n;
    int n_rows = shape.n_rows;
    for (std::size_t i = 0; i < choice.size(); ++i) {
      const auto worths = worths_of(whole[i]);
      for (int t = 0; t < choice[i]; ++t, ++n_rows)
        tokens += worths[static_cast<std::size_t>(t)];
    }
    return tokens / cost.us(n_rows);
  };
  const std::vector<int> nothing(whole.size());
  double best = 0;
  std::vector<int> other(whole.size());
  const std::function<void(std::size_t)> try_all = [&](std::size_t i) {
    if (i == other.size()) {
      best = std::max(best, speed(other));
      return;
    }
    for (other[i] = 0; other[i] <= whole[i].n_most; ++other[i])
      try_all(i + 1);
    other[i] = 0;
  };
  try_all(0);
  constexpr double least_gain = 1.02;
  if (best > least_gain * speed(nothing) * (1 + 1e-9))
    RC_ASSERT(std::abs(speed(planned) / best - 1) < 1e-9);
  else if (best < least_gain * speed(nothing) * (1 - 1e-9))
    RC_ASSERT(planned == nothing);
}

/// Planted bugs that it caught: no step is a check, or each eighth; checks where drafts are sure to pay;
/// steps without drafts count; what drafts bring to all sequences taken for what they bring to one.
RC_GTEST_PROP(AdaptiveDraft, MakesASixteenthOfTheStepsWithoutDraftsWhereTheseBringLessThanAQuarter, ()) {
  const int n = *rc::gen::inRange(1, 5);
  drafted_step step;
  for (int i = 0; i < n; ++i)
    step.add({1.0F}, 20, 1);
  drafted_step quiet_step;
  quiet_step.add({}, 0, 0);
  // So dear are a token's rows that the drafts of `step` bring `gain`.
  const double worth = draft_estimate{}.survival(step.draft(0), step.records[0])[0];
  const double gain = *rc::gen::element(1.04, 1.15, 1.23, 1.27, 1.45);
  const double us_more = 100 * ((1 + worth) / gain - 1) / n;
  const std::vector<step_time> costs{{1, 100 - us_more * (n - 1)}, {2 * n + 4, 100 + us_more * (n + 4)}};
  const auto policy = make_draft_policy("adaptive", {costs});
  std::vector<bool> is_check;
  for (int i = 0; i < 64; ++i) {
    for (int quiet = *rc::gen::inRange(0, 3); quiet > 0; --quiet) // these do not count
      policy->choose(quiet_step.all(), {1, 1});
    const auto chosen = n_of(policy->choose(step.all(), {n, n}));
    is_check.push_back(std::ranges::count(chosen, 0) == n);
    RC_ASSERT(is_check.back() || std::ranges::count(chosen, 1) == n);
  }
  for (int i = 0; i < 64; i += 16)
    RC_ASSERT(std::count(is_check.begin() + i, is_check.begin() + i + 16, true) == (gain < 1.25 ? 1 : 0));
}

/// Planted bugs that it caught: they are asked for where they would bring 4 %, or only where it is half as
/// much again.
RC_GTEST_PROP(AdaptiveDraft, AsksForDraftsWhereSureOnesWouldBringAnything, ()) {
  const int n_rows = *rc::gen::inRange(1, 20);
  const int n_most = *rc::gen::inRange(1, 9);
  const double most_gain = 1.0 * n_most / n_rows;
  const double gain = 1 + *rc::gen::inRange(1, 20) * 0.05 * most_gain;
  RC_PRE(std::abs(gain - 1.08) > 0.005);
  // T is linear, so it pays most to ask for all.
  const double us_more = 100 * ((1 + most_gain) / gain - 1) / n_most;
  const std::vector<step_time> costs{{1, 100 - us_more * (n_rows - 1)}, {40, 100 + us_more * (40 - n_rows)}};
  const auto policy = make_draft_policy("adaptive", {costs});
  RC_ASSERT(policy->n_wished({n_rows, n_most, 100}) == (gain > 1.08 ? n_most : 0));
}

/// Planted bug that it caught: the tokens' worth alone counts.
TEST(AdaptiveDraft, OfSeveralDraftsTakesTheOneThatBringsMostBeyondWhatItsRowsCost) {
  const auto policy = make_draft_policy("adaptive", {{{1, 100}, {16, 400}}});
  draft_tree many_guesses{{}, 20, token_origin::suffix};
  for (int i = 0; i < 8; ++i)
    many_guesses.nodes.push_back({i, -1, 0.2F});
  const std::vector<draft_tree> drafts{many_guesses, drafted_chain(token_origin::suffix, 20, {1.0F})};
  draft_record record;
  const draft_candidate one{drafts, 8, &record};
  EXPECT_EQ(policy->choose({&one, 1}, {1, 1})[0].which, 1);
}

/// Planted bug that it caught: what does not pay speaks against the draft, too.
TEST(AdaptiveDraft, TheTailOfADraftThatWillGetNoRowsDoesNotSpeakAgainstIt) {
  const auto policy = make_draft_policy("adaptive", {{{1, 100}, {16, 400}}});
  const std::vector<draft_tree> drafts{
      drafted_chain(token_origin::suffix, 20, {1.0F, 1.0F, 0.0F, 0.0F, 0.0F, 0.0F, 0.0F, 0.0F}),
      drafted_chain(token_origin::suffix, 20, {1.0F})};
  draft_record record;
  const draft_candidate one{drafts, 8, &record};
  const auto choice = policy->choose({&one, 1}, {1, 1})[0];
  EXPECT_EQ(choice.which, 0);
  EXPECT_EQ(choice.n_tokens, 2);
}

TEST(AdaptiveDraft, OfSeveralDraftsTakesTheOneWhoseTokensAreLikelierToStand) {
  const auto policy = make_draft_policy("adaptive", {flat_then_steep});
  drafted_step step;
  step.add({0.2F, 0.2F, 0.2F}, 2, 8);
  step.add_draft({1.0F, 1.0F, 1.0F}, 20, token_origin::answers);
  step.add_draft({1.0F}, 20, token_origin::recycling);
  EXPECT_EQ(policy->choose(step.all(), {1, 1})[0].which, 1);
}

TEST(AdaptiveDraft, LearnsWhichDrafterIsRightWhicheverHadTheRows) {
  const auto policy = make_draft_policy("adaptive", {flat_then_steep});
  drafted_step step;
  step.add({1.0F, 1.0F}, 20, 8);
  step.add_draft({1.0F, 1.0F}, 2, token_origin::answers);
  ASSERT_EQ(policy->choose(step.all(), {1, 1})[0].which, 0);
  for (int i = 0; i < 100; ++i) {
    policy->observe(step.all()[0].drafts[0], emitted_where(0), step.records[0]);
    policy->observe(step.all()[0].drafts[1], emitted_where(2), step.records[0]);
  }
  EXPECT_EQ(policy->choose(step.all(), {1, 1})[0].which, 1);
}

TEST(AdaptiveDraft, DraftsNothingWhereEveryRowCostsAsMuchAsTheFirst) {
  const auto policy = make_draft_policy("adaptive", {all_rows_cost_alike});
  EXPECT_EQ(policy->n_wished({1, 8, 100}), 0);
  drafted_step step;
  step.add({1.0F, 1.0F}, 30, 2);
  EXPECT_EQ(n_of(policy->choose(step.all(), {1, 1})), std::vector<int>{0});
}

TEST(AdaptiveDraft, TakesWhatIsLikelyAndLeavesWhatIsNot) {
  const auto policy = make_draft_policy("adaptive", {flat_then_steep});
  drafted_step step;
  step.add({1.0F, 1.0F, 1.0F, 1.0F}, 30, 4);
  step.add({0.1F, 0.1F, 0.1F, 0.1F}, 1, 4);
  const auto planned = n_of(policy->choose(step.all(), {2, 2}));
  EXPECT_GE(planned[0], 2);
  EXPECT_EQ(planned[1], 0);
}

/// Tokens that are emitted while drafts of `step` have rows or not, where `n_standing` of each stand.
int rows_spent(draft_policy& policy, drafted_step& step, int n_steps, int n_standing) {
  int n_rows = 0;
  for (int i = 0; i < n_steps; ++i) {
    const int n = policy.choose(step.all(), {1, 1})[0].n_tokens;
    n_rows += n;
    auto emitted = emitted_where(n_standing);
    emitted.resize(static_cast<std::size_t>(std::min(n, n_standing)) + 1);
    policy.observe(step.draft(0), emitted, step.records[0]);
  }
  return n_rows;
}

TEST(AdaptiveDraft, AfterManyFailuresItSpendsNothingAndComesBackByItself) {
  const auto policy = make_draft_policy("adaptive", {flat_then_steep});
  drafted_step step;
  step.add({1.0F, 1.0F, 1.0F, 1.0F}, 4, 4);
  rows_spent(*policy, step, 400, 0);
  EXPECT_EQ(rows_spent(*policy, step, 300, 0), 0);
  rows_spent(*policy, step, 400, 4);
  EXPECT_GE(rows_spent(*policy, step, 100, 4), 300);
}

/// Where drafts stand by chance alone, at a rate that nobody tells, what it loses by trying is bounded.
TEST(AdaptiveDraft, ItIsNeverMuchSlowerThanWithout) {
  std::mt19937 random{7};
  const step_cost cost{flat_then_steep};
  for (const double chance : {0.0, 0.05, 0.1, 0.2, 0.5, 0.9}) {
    const auto policy = make_draft_policy("adaptive", {flat_then_steep});
    drafted_step step;
    step.add({1.0F, 1.0F, 1.0F, 1.0F, 1.0F, 1.0F, 1.0F, 1.0F}, 4, 8);
    double us = 0;
    double n_tokens = 0;
    for (int i = 0; i < 3000; ++i) {
      int n_right = 0;
      while (n_right < 8 && std::bernoulli_distribution{chance}(random))
        ++n_right;
      const int n = policy->choose(step.all(), {1, 1})[0].n_tokens;
      const int n_accepted = std::min(n, n_right);
      auto emitted = emitted_where(n_right);
      emitted.resize(static_cast<std::size_t>(n_accepted) + 1);
      policy->observe(step.draft(0), emitted, step.records[0]);
      us += cost.us(1 + n);
      n_tokens += 1 + n_accepted;
    }
    EXPECT_GE(n_tokens / us, 0.985 / cost.us(1)) << chance;
  }
}

const std::vector<step_time> rows_cost_little{{1, 100}, {32, 131}};
const std::vector<step_time> passes_cost_a_tenth{{1, 10}, {2, 11}, {4, 12}};
const std::vector<step_time> passes_cost_as_much{{1, 100}, {2, 110}};

RC_GTEST_PROP(DraftPolicy, NeverAsksAModelForMoreThanItMay, ()) {
  for (const auto* name : {"fixed", "adaptive", "off"}) {
    const auto policy = make_draft_policy(name, {flat_then_steep, passes_cost_a_tenth});
    drafted_step step;
    step.most_of_model = *rc::gen::inRange(0, 9);
    const int n = *rc::gen::inRange(0, 5);
    for (int i = 0; i < n; ++i)
      step.add(gen_probabilities(), *rc::gen::inRange(0, 40), *rc::gen::inRange(0, 9));
    const auto asked = policy->n_asked_of_model(step.all(), {std::max(1, n), n});
    RC_ASSERT(asked.size() == static_cast<std::size_t>(n));
    for (const int one : asked)
      RC_ASSERT(one >= 0 && one <= step.most_of_model);
  }
}

TEST(AdaptiveDraft, AsksADraftModelWhereItsPassesAreCheapAndNotWhereTheyCostWhatTheyBring) {
  drafted_step step;
  step.most_of_model = 8;
  step.add({}, 0, 8);
  const auto cheap = make_draft_policy("adaptive", {flat_then_steep, passes_cost_a_tenth});
  EXPECT_GE(cheap->n_asked_of_model(step.all(), {1, 1})[0], 2);
  const auto dear = make_draft_policy("adaptive", {flat_then_steep, passes_cost_as_much});
  EXPECT_EQ(dear->n_asked_of_model(step.all(), {1, 1})[0], 0);
}

/// Planted bugs that it caught: one pass for all tokens; a pass of several sequences costs what one of one
/// does; what it takes to read the text left out, or not shared among the steps to come, or from the first
/// token on; the rows of others' drafts left out; a question asked for any gain.
RC_GTEST_PROP(AdaptiveDraft, AsksForAsManyTokensAsMakeTheStepFastest, ()) {
  const known_costs costs{{{1, 100}, {2, 105}, {4, 115}, {8, 190}, {16, 380}, {64, 1520}},
                          {{1, 1.0 * *rc::gen::inRange(1, 40)}, {2, 50}, {8, 70}, {32, 300}}};
  const step_cost cost{costs.steps};
  const step_cost pass{costs.draft_model_passes};
  drafted_step step;
  step.most_of_model = *rc::gen::inRange(1, 9);
  step.n_behind_model = *rc::gen::element(0, 9, 10, 300);
  step.n_remaining_tokens = *rc::gen::element(2, 20, 1000);
  const int n = *rc::gen::inRange(1, 4); // alike, and one more that has a draft from texts
  for (int i = 0; i < n; ++i)
    step.add({}, 0, 8);
  step.add(std::vector<float>(static_cast<std::size_t>(*rc::gen::inRange(0, 4)), 1.0F), 30, 8);
  for (auto& record : step.records)
    record.without_model_us = 1e9; // who has just begun does not ask
  const auto policy = make_draft_policy("adaptive", costs);
  const int n_of_text = n_of(policy->choose(step.all(), {n + 1, n + 1})).back();
  const auto worths = worths_of(step.all().back());
  const double of_text = std::accumulate(worths.begin(), worths.begin() + n_of_text, 0.0);
  const auto speed = [&](int n_asked) {
    const double standing = draft_model_gain{}.expected(n_asked, {});
    const bool asks_all = n_asked > 0 && standing > of_text;
    const int n_asking = n_asked == 0 ? 0 : n + (asks_all ? 1 : 0);
    const double n_steps = std::max(1.0, step.n_remaining_tokens / (1 + standing));
    const double reading_us =
        step.n_behind_model > draft_pass_rows ? step.n_behind_model * pass.us(32) / 32 / n_steps : 0;
    const double n_tokens = n + 1 + n_asking * standing + (asks_all ? 0 : of_text);
    const int n_rows = n + 1 + n_asking * n_asked + (asks_all ? 0 : n_of_text);
    const double drafting_us = n_asking == 0 ? 0 : n_asked * pass.us(n_asking) + n_asking * reading_us;
    return n_tokens / (cost.us(n_rows) + drafting_us);
  };
  const auto asked = policy->n_asked_of_model(step.all(), {n + 1, n + 1});
  RC_ASSERT(std::count(asked.begin(), asked.end() - 1, asked[0]) == n);
  double best = 0;
  for (int n_asked = 1; n_asked <= step.most_of_model; ++n_asked)
    best = std::max(best, speed(n_asked));
  if (best > 1.05 * speed(0) * (1 + 1e-9))
    RC_ASSERT(asked[0] > 0 && std::abs(speed(asked[0]) / best - 1) < 1e-9);
  else if (best < 1.05 * speed(0) * (1 - 1e-9))
    RC_ASSERT(asked[0] == 0);
}

/// Planted bugs that it caught: who is asked about, or has no model, fades, too; nobody does.
TEST(AdaptiveDraft, WhatIsKnownOfAModelFadesWhereItCouldHaveBeenAsked) {
  const auto n_tried_then = [](const std::vector<step_time>& passes, int most_of_model) {
    const auto policy = make_draft_policy("adaptive", {flat_then_steep, passes});
    drafted_step step;
    step.most_of_model = most_of_model;
    step.add({}, 0, 8);
    step.records[0].of_model = {10, 9};
    policy->n_asked_of_model(step.all(), {1, 1});
    return step.records[0].of_model.n_tried;
  };
  EXPECT_EQ(n_tried_then(passes_cost_a_tenth, 8), 10);
  EXPECT_EQ(n_tried_then(passes_cost_as_much, 0), 10);
  EXPECT_LT(n_tried_then(passes_cost_as_much, 8), 10);
}

TEST(AdaptiveDraft, LetsADraftModelReadATextOnlyIfWhatRemainsIsWorthIt) {
  const auto policy = make_draft_policy("adaptive", {flat_then_steep, passes_cost_a_tenth});
  drafted_step step;
  step.most_of_model = 8;
  step.n_behind_model = 300;
  step.add({}, 0, 8);
  step.records[0].without_model_us = 1e9;
  step.n_remaining_tokens = 1000;
  EXPECT_GT(policy->n_asked_of_model(step.all(), {1, 1})[0], 0);
  step.n_remaining_tokens = 5;
  EXPECT_EQ(policy->n_asked_of_model(step.all(), {1, 1})[0], 0);
}

RC_GTEST_PROP(AdaptiveDraft, LetsADraftModelReadATextOnceTheRequestHasGoneWithoutForAsLong, ()) {
  const auto policy = make_draft_policy("adaptive", {flat_then_steep, passes_cost_a_tenth});
  drafted_step step;
  step.most_of_model = 8;
  step.n_behind_model = *rc::gen::inRange(0, 400);
  step.n_remaining_tokens = 100'000;
  step.add({}, 0, 8);
  const double row_us = step_cost{passes_cost_a_tenth}.us(32) / 32;
  const double reading_us = step.n_behind_model > draft_pass_rows ? step.n_behind_model * row_us : 0;
  double waited_us = 0;
  while (policy->n_asked_of_model(step.all(), {1, 1})[0] == 0) {
    RC_ASSERT(waited_us < reading_us * (1 + 1e-9));
    waited_us += step_cost{flat_then_steep}.us(1);
  }
  RC_ASSERT(waited_us >= reading_us * (1 - 1e-9));
}

/// Planted bug that it caught: what the other drafts are worth is left out.
TEST(AdaptiveDraft, AsksNoModelWhereTextDraftsAreExpectedToBringMore) {
  const auto policy = make_draft_policy("adaptive", {rows_cost_little, {{1, 2}, {2, 3}}});
  drafted_step step;
  step.most_of_model = 8;
  step.add({1.0F, 1.0F, 1.0F, 1.0F, 1.0F, 1.0F, 1.0F, 1.0F}, 30, 8);
  step.add({}, 0, 8);
  const auto asked = policy->n_asked_of_model(step.all(), {2, 2});
  EXPECT_EQ(asked[0], 0);
  EXPECT_GT(asked[1], 0);
}

/// Questions in `n_steps`, where `n_standing` of what is drafted stand.
int times_asked(draft_policy& policy, drafted_step& step, int n_steps, int n_standing) {
  int n_times = 0;
  for (int i = 0; i < n_steps; ++i) {
    const int n = policy.n_asked_of_model(step.all(), {1, 1})[0];
    if (n == 0)
      continue;
    ++n_times;
    const auto draft =
        drafted_chain(token_origin::draft_model, 0, std::vector<float>(static_cast<std::size_t>(n), 0.9F));
    policy.observe_model(n, draft, emitted_where(std::min(n, n_standing)), step.records[0]);
  }
  return n_times;
}

/// Planted bugs that it caught: what was learnt does not fade; it fades at once.
TEST(AdaptiveDraft, GivesUpADraftModelThatIsWrongTriesItSeldomAndComesBack) {
  const auto policy = make_draft_policy("adaptive", {flat_then_steep, passes_cost_a_tenth});
  drafted_step step;
  step.most_of_model = 4;
  step.add({}, 0, 4);
  times_asked(*policy, step, 100, 0);
  const int n_tries = times_asked(*policy, step, 2000, 0);
  EXPECT_GE(n_tries, 2);
  EXPECT_LE(n_tries, 100);
  times_asked(*policy, step, 1000, 4);
  EXPECT_EQ(times_asked(*policy, step, 100, 4), 100);
}

TEST(DraftPolicy, AnUnknownNameGivesNone) { EXPECT_EQ(make_draft_policy("none"), nullptr); }
