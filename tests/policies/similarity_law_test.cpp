#include "policies/similarity_law.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <deque>
#include <random>

using namespace souffleur;

namespace {

double any_similarity() { return *rc::gen::inRange(0, 1001) / 1000.0; }

std::vector<graded> any_record() {
  std::vector<graded> record(*rc::gen::inRange<std::size_t>(0, 8));
  for (auto& one : record)
    one = {static_cast<float>(any_similarity()), *rc::gen::arbitrary<bool>()};
  return record;
}

threshold_prior any_prior() {
  return {*rc::gen::inRange(60, 100) / 100.0, *rc::gen::inRange(2, 15) / 100.0,
          static_cast<double>(*rc::gen::inRange(8, 100))};
}

std::vector<graded> with(std::vector<graded> record, graded added) {
  record.push_back(added);
  return record;
}

} // namespace

// C7. Planted bugs that it caught: the law falls; the bound at the lower end of the thresholds.
RC_GTEST_PROP(ThresholdBelief, ExpectsMoreOfWhatIsMoreSimilar, ()) {
  const threshold_belief belief{any_prior(), any_record()};
  const double s = any_similarity();
  const double more = s + any_similarity();
  RC_ASSERT(belief.right(s) >= 0 && belief.right(s) <= 1);
  RC_ASSERT(belief.right(more) >= belief.right(s));
  RC_ASSERT(belief.right_at_least(more, 0.16) >= belief.right_at_least(s, 0.16));
}

RC_GTEST_PROP(ThresholdBelief, RisesWithEachRightAnswerAndFallsWithEachWrongOne, ()) {
  const auto prior = any_prior();
  const auto record = any_record();
  const float at = static_cast<float>(any_similarity());
  const double s = any_similarity();
  const double before = threshold_belief{prior, record}.right(s);
  RC_ASSERT(threshold_belief(prior, with(record, {at, true})).right(s) >= before - 1e-9);
  RC_ASSERT(threshold_belief(prior, with(record, {at, false})).right(s) <= before + 1e-9);
}

RC_GTEST_PROP(ThresholdBelief, BoundsLowerWithLessDoubt, ()) {
  const threshold_belief belief{any_prior(), any_record()};
  const double s = any_similarity();
  RC_ASSERT(belief.right_at_least(s, 0.02) <= belief.right_at_least(s, 0.16));
  RC_ASSERT(belief.right_at_least(s, 0.16) <= belief.right_at_least(s, 0.5));
}

TEST(ThresholdBelief, IsBayesRule) {
  // With a prior this narrow there is one threshold: P(record) is a product of its logistic values.
  const threshold_prior narrow{0.8, 1e-6, 20};
  const auto p = [](double s) { return 1 / (1 + std::exp(-20 * (s - 0.8))); };
  const std::vector<graded> record = {{0.85F, true}, {0.75F, false}};
  const threshold_belief belief{narrow, record};
  EXPECT_NEAR(belief.right(0.9), p(0.9), 1e-4);
  EXPECT_NEAR(belief.log_evidence(), std::log(p(0.85) * (1 - p(0.75))), 1e-4);
  // A record that nothing explains leaves a belief all the same.
  const std::vector<graded> strange(32, graded{0.0F, true});
  EXPECT_GE(threshold_belief(narrow, strange).right(0.9), 0);
}

// Planted bugs that it caught: the newest forgotten; an unknown outcome counted.
RC_GTEST_PROP(EntryRecord, KeepsTheNewestThatSaySomething, ()) {
  entry_record record;
  std::deque<graded> model;
  const auto n = *rc::gen::inRange(0, 120);
  for (int i = 0; i < n; ++i) {
    const auto outcome = *rc::gen::element(likeness::same, likeness::different, likeness::unknown);
    record.note(i / 128.0, outcome);
    if (outcome != likeness::unknown)
      model.push_back({static_cast<float>(i / 128.0), outcome == likeness::same});
    if (model.size() > entry_record::most)
      model.pop_front();
  }
  std::vector<graded> seen{record.seen().begin(), record.seen().end()};
  std::sort(seen.begin(), seen.end(), [](auto a, auto b) { return a.similarity < b.similarity; });
  RC_ASSERT(std::equal(seen.begin(), seen.end(), model.begin(), model.end()));
}

// Planted bug that it caught: the narrowest of the spreads.
TEST(FitPrior, FindsThePopulationAndIsWideWhereTheRecordsAreShort) {
  std::mt19937_64 random{7};
  std::uniform_real_distribution<double> uniform;
  std::normal_distribution<double> threshold{0.82, 0.04};
  std::vector<std::vector<graded>> longer;
  std::vector<std::vector<graded>> single;
  for (int entry = 0; entry < 120; ++entry) {
    const double t = threshold(random);
    longer.emplace_back();
    for (int i = 0; i < 12; ++i) {
      const double s = 0.6 + 0.4 * uniform(random);
      longer.back().push_back({static_cast<float>(s), uniform(random) < 1 / (1 + std::exp(-50 * (s - t)))});
    }
    single.push_back({longer.back().front()});
  }
  const auto learned = fit_prior(longer);
  EXPECT_NEAR(learned.mean, 0.82, 0.02);
  EXPECT_NEAR(learned.spread, 0.04, 0.02);
  const auto guessed = fit_prior(single);
  EXPECT_NEAR(guessed.mean, 0.82, 0.05);
  EXPECT_GE(guessed.spread, learned.spread);
  EXPECT_LE(guessed.slope, learned.slope);
}
