#include "examples/load/comparison.hpp"
#include "examples/load/report.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <numeric>
#include <random>
#include <sstream>

using namespace souffleur::load;

namespace {

double mean_of(std::vector<double>& sample) {
  return std::accumulate(sample.begin(), sample.end(), 0.0) / static_cast<double>(sample.size());
}

std::vector<double> any_sample(std::uint64_t seed, double mean, int n) {
  std::mt19937_64 random{seed};
  std::gamma_distribution<double> law{4, mean / 4};
  std::vector<double> sample(static_cast<std::size_t>(n));
  for (auto& value : sample)
    value = law(random);
  return sample;
}

/// A run of one load whose requests take `factor` times as long as they else would.
boost::json::object run(double factor, std::uint64_t seed, int n_failed = 0) {
  std::mt19937_64 random{seed};
  std::gamma_distribution<double> law{9, factor / 9};
  run_report report;
  report.workload = "chat";
  finished_load load;
  load.name = "clients 4";
  std::int64_t at = 0;
  for (int i = 0; i < 200; ++i) {
    request_record record;
    record.outcome = i < n_failed ? request_outcome::failed : request_outcome::completed;
    record.intended_ns = record.sent_ns = at;
    for (int k = 0; k < 8; ++k)
      record.output_ns.push_back(at += static_cast<std::int64_t>(1e7 * law(random)));
    record.ended_ns = at;
    record.n_output_tokens = 8;
    load.outcome.records.push_back(record);
  }
  report.loads.push_back(load);
  return json_of(report, false);
}

verdict said_of(const comparison& found, const std::string& figure) {
  for (const auto& each : found.figures)
    if (each.figure == figure)
      return each.said;
  ADD_FAILURE() << figure << " is missing";
  return verdict::not_told_apart;
}

} // namespace

// Of twenty-five pairs with a true ratio of 1.2, about one interval in twenty may miss it.
TEST(Bootstrap, ItsIntervalsHaveTheTrueRatioAsOftenAsTheySay) {
  int n_hits = 0;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    const auto interval =
        bootstrap_ratio(any_sample(seed, 10, 80), any_sample(seed + 1000, 12, 80), mean_of, 300);
    EXPECT_LT(interval.low, interval.high);
    n_hits += interval.low <= 1.2 && interval.high >= 1.2 ? 1 : 0;
  }
  EXPECT_GE(n_hits, 87);
}

TEST(Comparison, ARunThatTakesLongerGotWorse) {
  const auto found = compare_runs(run(1, 1), run(1.2, 2));
  EXPECT_TRUE(found.got_worse());
  EXPECT_EQ(said_of(found, "TPOT p50 ms"), verdict::worse);
  EXPECT_EQ(said_of(found, "E2E p50 ms"), verdict::worse);
  EXPECT_EQ(said_of(found, "output tokens/s"), verdict::worse);
  std::ostringstream text;
  write_comparison(text, found);
  EXPECT_NE(text.str().find("Got worse: clients 4"), std::string::npos) << text.str();
}

TEST(Comparison, ARunThatIsFasterGotBetter) {
  const auto found = compare_runs(run(1, 1), run(0.8, 2));
  EXPECT_FALSE(found.got_worse());
  EXPECT_EQ(said_of(found, "output tokens/s"), verdict::better);
}

TEST(Comparison, TwoRunsOfTheSameThingCannotBeToldApart) {
  const auto found = compare_runs(run(1, 1), run(1, 1));
  EXPECT_FALSE(found.got_worse());
  for (const auto& figure : found.figures)
    EXPECT_EQ(figure.said, verdict::not_told_apart) << figure.figure;
}

TEST(Comparison, FailuresAndLoadsWithoutACounterpartAreSaid) {
  auto after = run(1, 2, 3);
  const auto found = compare_runs(run(1, 1), after);
  ASSERT_EQ(found.notes.size(), 1U);
  EXPECT_EQ(found.notes.front(), "clients 4: 0 failed before, 3 after");
  after["loads"].as_array().front().as_object()["name"] = "clients 9";
  EXPECT_EQ(compare_runs(run(1, 1), after).notes.size(), 2U);
}

TEST(Comparison, AFileThatIsNoRunIsRefused) { EXPECT_FALSE(compare_files("/nonexistent", "/nonexistent")); }
