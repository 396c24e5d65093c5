// What of a request reaches the worker that makes its answer.
#include "actors/cluster/routed_request.hpp"

#include "tests/actors/fake_grammars.hpp"
#include "tests/actors/fake_text.hpp"

#include <gtest/gtest.h>

namespace souffleur {
namespace {

using namespace testing;
using namespace std::chrono_literals;

admitted_request full_request() {
  admitted_request request;
  request.id = 7;
  request.tenant = "theatre";
  request.prompt = {3, 4, 5};
  sampling_params sampling;
  sampling.temperature = 0.7F;
  sampling.seed = 12;
  sampling.max_tokens = 40;
  request.sampling = std::make_shared<const sampling_params>(sampling);
  request.speculation.acceptance = "block";
  request.is_lossy = true;
  request.prediction = {8, 9};
  request.output = grammar::output_grammar{grammar::language::regex, "[a-c]+"};
  request.window_policy = "sink_window";
  request.window = {4, 64};
  request.retention = {2, true, 30};
  request.priority = 3;
  request.most_tokens = 90;
  request.deadline = steady_time{20s};
  return request;
}

prompt_format format_with(std::shared_ptr<const thought_marks> thoughts) {
  const auto vocabulary = std::make_shared<fake_tokenizer>();
  return {vocabulary,         nullptr, "fake", 4096, std::make_shared<grammar::grammar_library>(vocabulary),
          std::move(thoughts)};
}

} // namespace

TEST(RoutedRequest, AWorkerHasAllOfItThatAnAnswerDependsOn) {
  auto sent = full_request();
  const auto marks = std::make_shared<const thought_marks>();
  sent.thoughts = std::make_shared<const thought_marks>();
  const std::vector<token_id> delivered{20, 21};
  const auto order = order_for(sent, delivered, 5, steady_time{5s});
  EXPECT_EQ(order.attempt, 5U);
  const auto got =
      std::get<admitted_request>(admitted_from(order, 99, format_with(marks), steady_time{1000s}));
  EXPECT_EQ(got.id, 99U);
  EXPECT_EQ(got.tenant, sent.tenant);
  EXPECT_EQ(got.prompt, sent.prompt);
  EXPECT_EQ(got.delivered, delivered);
  EXPECT_EQ(got.sampling->temperature, sent.sampling->temperature);
  EXPECT_EQ(got.sampling->seed, sent.sampling->seed);
  EXPECT_EQ(got.sampling->max_tokens, sent.sampling->max_tokens);
  EXPECT_EQ(got.speculation.acceptance, sent.speculation.acceptance);
  EXPECT_TRUE(got.is_lossy);
  EXPECT_EQ(got.prediction, sent.prediction);
  EXPECT_EQ(got.output, sent.output);
  EXPECT_NE(got.grammar, nullptr);
  EXPECT_EQ(got.thoughts, marks) << "the worker's own";
  EXPECT_EQ(got.window_policy, sent.window_policy);
  EXPECT_EQ(got.window, sent.window);
  EXPECT_EQ(got.retention.priority, sent.retention.priority);
  EXPECT_EQ(got.retention.pinned, sent.retention.pinned);
  EXPECT_EQ(got.retention.ttl_s, sent.retention.ttl_s);
  EXPECT_EQ(got.priority, sent.priority);
  EXPECT_EQ(got.most_tokens, sent.most_tokens);
  EXPECT_TRUE(got.trace) << "the router counts steps and drafts";
  EXPECT_EQ(got.deadline.at(), steady_time{1015s}) << "clocks differ, the time left does not";
}

TEST(RoutedRequest, WhoMayNotThinkDoesNotAtTheWorkerEither) {
  const auto order = order_for(full_request(), {}, 1, {});
  const auto got = std::get<admitted_request>(
      admitted_from(order, 1, format_with(std::make_shared<const thought_marks>()), {}));
  EXPECT_EQ(got.thoughts, nullptr);
}

TEST(RoutedRequest, WithoutAnyTimeLeftItHasNone) {
  auto sent = full_request();
  const auto order = order_for(sent, {}, 1, steady_time{21s});
  EXPECT_EQ(order.time_left_ms, 0);
}

TEST(RoutedRequest, AGrammarThatTheWorkerCannotReadIsTheRequestsError) {
  auto sent = full_request();
  sent.output->source = "[a-";
  const auto got = admitted_from(order_for(sent, {}, 1, {}), 1, format_with(nullptr), {});
  ASSERT_TRUE(std::holds_alternative<generation_failed>(got));
  EXPECT_EQ(std::get<generation_failed>(got).status, 400);
}

} // namespace souffleur
