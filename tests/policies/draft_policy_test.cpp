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

namespace {

const std::vector<step_time> flat_then_steep{{1, 100}, {2, 105}, {4, 115}, {8, 190}, {16, 380}, {32, 760}};
const std::vector<step_time> all_rows_cost_alike{{1, 100}, {32, 3200}};

/// A step's drafts, with what they point to.
struct drafted_step {
  std::vector<draft_record> records;

  void add(const std::vector<float>& probabilities, int match_length, int n_most) {
    drafts_.push_back(drafted_chain(token_origin::prompt_lookup, match_length, probabilities));
    records.emplace_back();
    most_.push_back(n_most);
  }
  std::span<const draft_candidate> all() {
    candidates_.clear();
    for (std::size_t i = 0; i < drafts_.size(); ++i)
      candidates_.push_back({&drafts_[i], most_[i], &records[i]});
    return candidates_;
  }
  int n_decoding() const { return static_cast<int>(drafts_.size()); }

private:
  std::vector<draft_tree> drafts_;
  std::vector<int> most_;
  std::vector<draft_candidate> candidates_;
};

drafted_step gen_step() {
  drafted_step step;
  const int n = *rc::gen::inRange(1, 12);
  for (int i = 0; i < n; ++i) {
    std::vector<float> draft(static_cast<std::size_t>(*rc::gen::inRange(0, 9)));
    for (auto& one : draft)
      one = static_cast<float>(*rc::gen::inRange(0, 101)) / 100;
    const int most = *rc::gen::inRange(0, static_cast<int>(draft.size()) + 1);
    step.add(draft, *rc::gen::inRange(0, 20), most);
  }
  return step;
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
    const auto drafts = step.all();
    const auto planned = make_draft_policy(name, flat_then_steep)->n_planned(drafts, shape);
    RC_ASSERT(planned.size() == drafts.size());
    for (std::size_t i = 0; i < planned.size(); ++i) {
      RC_ASSERT(planned[i] >= 0);
      RC_ASSERT(planned[i] <= drafts[i].n_most);
      if (std::string_view{name} == "fixed")
        RC_ASSERT(planned[i] == drafts[i].n_most);
      if (std::string_view{name} == "off")
        RC_ASSERT(planned[i] == 0);
    }
  }
}

/// Against all choices of beginnings, with the same estimates: none brings more tokens a second.
RC_GTEST_PROP(AdaptiveDraft, NoOtherChoiceIsExpectedToBeFaster, ()) {
  drafted_step step;
  const int n = *rc::gen::inRange(1, 4);
  for (int i = 0; i < n; ++i)
    step.add(std::vector<float>(static_cast<std::size_t>(*rc::gen::inRange(0, 4)),
                                *rc::gen::element(0.2F, 0.6F, 1.0F)),
             *rc::gen::inRange(0, 20), 0);
  const auto drafts = step.all();
  std::vector<draft_candidate> whole{drafts.begin(), drafts.end()};
  for (auto& one : whole)
    one.n_most = static_cast<int>(one.draft->nodes.size());
  const step_shape shape{n, n};
  const auto planned = make_draft_policy("adaptive", flat_then_steep)->n_planned(whole, shape);
  const step_cost cost{flat_then_steep};
  const draft_estimate estimate;
  const auto speed = [&](const std::vector<int>& choice) {
    double tokens = n;
    int n_rows = n;
    for (std::size_t i = 0; i < choice.size(); ++i) {
      const auto survival = estimate.survival(*whole[i].draft, *whole[i].record);
      for (int t = 0; t < choice[i]; ++t, ++n_rows)
        tokens += survival[static_cast<std::size_t>(t)];
    }
    return tokens / cost.us(n_rows);
  };
  std::vector<int> other(whole.size());
  const std::function<void(std::size_t)> try_all = [&](std::size_t i) {
    if (i == other.size()) {
      RC_ASSERT(speed(other) <= 1.02 * speed(planned) * (1 + 1e-9));
      return;
    }
    for (other[i] = 0; other[i] <= whole[i].n_most; ++other[i])
      try_all(i + 1);
    other[i] = 0;
  };
  try_all(0);
}

TEST(AdaptiveDraft, DraftsNothingWhereEveryRowCostsAsMuchAsTheFirst) {
  const auto policy = make_draft_policy("adaptive", all_rows_cost_alike);
  EXPECT_EQ(policy->n_wished({1, 8, 100}), 0);
  drafted_step step;
  step.add({1.0F, 1.0F}, 30, 2);
  for (int i = 0; i < 200; ++i) // not even to probe
    EXPECT_EQ(policy->n_planned(step.all(), {1, 1}), std::vector<int>{0});
}

TEST(AdaptiveDraft, TakesWhatIsLikelyAndLeavesWhatIsNot) {
  const auto policy = make_draft_policy("adaptive", flat_then_steep);
  drafted_step step;
  step.add({1.0F, 1.0F, 1.0F, 1.0F}, 30, 4);
  step.add({0.1F, 0.1F, 0.1F, 0.1F}, 1, 4);
  const auto planned = policy->n_planned(step.all(), {2, 2});
  EXPECT_GE(planned[0], 2);
  EXPECT_EQ(planned[1], 0);
}

TEST(AdaptiveDraft, AfterManyFailuresItOnlyProbesAndComesBack) {
  const auto policy = make_draft_policy("adaptive", flat_then_steep);
  drafted_step step;
  step.add({1.0F, 1.0F, 1.0F, 1.0F}, 4, 4);
  int n_rows = 0;
  const auto run = [&](int n_steps, bool stands) {
    n_rows = 0;
    for (int i = 0; i < n_steps; ++i) {
      const auto drafts = step.all();
      const int n = policy->n_planned(drafts, {1, 1})[0];
      n_rows += n;
      if (n > 0)
        policy->verified(*drafts[0].draft, n, stands ? n : 0, step.records[0]);
    }
  };
  run(400, false);
  run(320, false);
  EXPECT_GE(n_rows, 5); // it goes on trying
  EXPECT_LE(n_rows, 12);
  run(1000, true);
  run(100, true);
  EXPECT_GE(n_rows, 300);
}

/// Where drafts stand by chance alone, at a rate that nobody tells, what it loses by trying is bounded.
TEST(AdaptiveDraft, ItIsNeverMuchSlowerThanWithout) {
  std::mt19937 random{7};
  const step_cost cost{flat_then_steep};
  for (const double chance : {0.0, 0.05, 0.1, 0.2, 0.5, 0.9}) {
    const auto policy = make_draft_policy("adaptive", flat_then_steep);
    drafted_step step;
    step.add({1.0F, 1.0F, 1.0F, 1.0F, 1.0F, 1.0F, 1.0F, 1.0F}, 4, 8);
    double us = 0;
    double n_tokens = 0;
    for (int i = 0; i < 3000; ++i) {
      const auto drafts = step.all();
      const int n = policy->n_planned(drafts, {1, 1})[0];
      int n_accepted = 0;
      while (n_accepted < n && std::bernoulli_distribution{chance}(random))
        ++n_accepted;
      if (n > 0)
        policy->verified(*drafts[0].draft, n, n_accepted, step.records[0]);
      us += cost.us(1 + n);
      n_tokens += 1 + n_accepted;
    }
    EXPECT_GE(n_tokens / us, 0.985 / cost.us(1)) << chance;
  }
}

TEST(DraftPolicy, AnUnknownNameGivesNone) { EXPECT_EQ(make_draft_policy("none"), nullptr); }
