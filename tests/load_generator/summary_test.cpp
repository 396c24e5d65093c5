#include "examples/load/summary.hpp"

#include <gtest/gtest.h>

using namespace souffleur::load;

namespace {

constexpr std::int64_t ms = 1'000'000;

/// To be sent at 10 ms, sent at 12, outputs at 20, 30 and 50, ended at 52; 5 tokens.
request_record example() {
  request_record record;
  record.outcome = request_outcome::completed;
  record.intended_ns = 10 * ms;
  record.sent_ns = 12 * ms;
  record.output_ns = {20 * ms, 30 * ms, 50 * ms};
  record.ended_ns = 52 * ms;
  record.n_prompt_tokens = 8;
  record.n_output_tokens = 5;
  record.counted_by_server = true;
  return record;
}

load_outcome outcome_of(std::vector<request_record> records, std::int64_t duration_ns) {
  return {{records.begin(), records.end()}, duration_ns};
}

} // namespace

TEST(Latencies, CountFromWhenTheRequestWasToBeSent) {
  const auto found = latencies_of(example(), false);
  EXPECT_DOUBLE_EQ(*found.ttft_ms, 10);        // 20 - 10
  EXPECT_DOUBLE_EQ(found.e2el_ms, 42);         // 52 - 10
  EXPECT_DOUBLE_EQ(*found.tpot_ms, 8);         // (42 - 10) / (5 - 1)
  EXPECT_DOUBLE_EQ(*found.mean_itl_ms, 15);    // (10 + 20) / 2
  EXPECT_DOUBLE_EQ(*found.normalized_ms, 8.4); // 42 / 5
  EXPECT_DOUBLE_EQ(found.client_queue_ms, 2);  // 12 - 10
}

TEST(Latencies, CountFromTheSendingWhereTheClientHoldsRequestsBack) {
  const auto found = latencies_of(example(), true);
  EXPECT_DOUBLE_EQ(*found.ttft_ms, 8);
  EXPECT_DOUBLE_EQ(found.e2el_ms, 40);
  EXPECT_DOUBLE_EQ(*found.tpot_ms, 8);
}

TEST(Latencies, AnAnswerOfOneTokenHasNoTimePerFurtherToken) {
  auto record = example();
  record.output_ns = {20 * ms};
  record.n_output_tokens = 1;
  const auto found = latencies_of(record, false);
  EXPECT_FALSE(found.tpot_ms);
  EXPECT_FALSE(found.mean_itl_ms);
  record.output_ns.clear();
  record.n_output_tokens = 0;
  EXPECT_FALSE(latencies_of(record, false).ttft_ms);
  EXPECT_FALSE(latencies_of(record, false).normalized_ms);
}

TEST(Summary, GapsOfAllRequestsAreOneDistributionAndSpeculationAddsNoneOfZero) {
  const auto sum = summarize(outcome_of({example(), example()}, 1000 * ms), false, {});
  EXPECT_EQ(sum.itl.count(), 4) << "of five tokens in three outputs";
  EXPECT_EQ(sum.itl.min(), 10'000);
  EXPECT_EQ(sum.itl.max(), 20'000);
}

TEST(Summary, RatesAreOfTheWholeDuration) {
  auto warm_up = example();
  warm_up.role = request_role::warm_up;
  const auto sum = summarize(outcome_of({example(), example(), warm_up}, 500 * ms), false, {});
  EXPECT_EQ(sum.n_completed, 2);
  EXPECT_DOUBLE_EQ(sum.requests_per_s, 4);
  EXPECT_DOUBLE_EQ(sum.output_tokens_per_s, 20);
  EXPECT_DOUBLE_EQ(sum.total_tokens_per_s, 52);
}

TEST(Summary, GoodputCountsTheRequestsThatKeepEveryBound) {
  auto slow = example();
  slow.output_ns.front() = 29 * ms;
  service_level level;
  level.ttft_ms = 15;
  level.e2el_ms = 42;
  EXPECT_DOUBLE_EQ(*summarize(outcome_of({example(), slow}, 1000 * ms), false, level).goodput, 1);
  level.itl_ms = 14.9;
  EXPECT_DOUBLE_EQ(*summarize(outcome_of({example(), slow}, 1000 * ms), false, level).goodput, 0);
  EXPECT_FALSE(summarize(outcome_of({example()}, 1000 * ms), false, {}).goodput);
}

TEST(Summary, AFailedRequestCountsAsThatAlone) {
  auto failed = example();
  failed.outcome = request_outcome::failed;
  failed.error = "refused";
  const auto sum = summarize(outcome_of({example(), failed}, 1000 * ms), false, {});
  EXPECT_EQ(sum.n_completed, 1);
  EXPECT_EQ(sum.n_failed, 1);
  EXPECT_EQ(sum.errors.at("refused"), 1);
  EXPECT_EQ(sum.n_output_tokens, 5);
  EXPECT_EQ(sum.e2el.count(), 1);
}

TEST(Summary, ACancelledRequestHasTokensAndAFirstOneButNoEnd) {
  auto cancelled = example();
  cancelled.outcome = request_outcome::cancelled;
  const auto sum = summarize(outcome_of({cancelled}, 1000 * ms), false, {});
  EXPECT_EQ(sum.n_cancelled, 1);
  EXPECT_EQ(sum.ttft.count(), 1);
  EXPECT_EQ(sum.e2el.count(), 0);
  EXPECT_EQ(sum.n_output_tokens, 5);
}

TEST(Summary, SaysThatOutputsWereCountedIfAServerIsSilentOnce) {
  auto silent = example();
  silent.counted_by_server = false;
  EXPECT_TRUE(summarize(outcome_of({example()}, ms), false, {}).counted_by_server);
  EXPECT_FALSE(summarize(outcome_of({example(), silent}, ms), false, {}).counted_by_server);
}
