// What a router's journal does with single news; whatever order they come in, dispatcher_test.cpp plays.
#include "actors/cluster/dispatch_core.hpp"

#include "tests/actors/answer_recorder.hpp"
#include "tests/actors/fake_text.hpp"

#include <gtest/gtest.h>

namespace souffleur {
namespace {

using namespace testing;
using namespace std::chrono_literals;

class dispatching : public ::testing::Test {
protected:
  static constexpr request_id id = 1;

  admitted_request request(int max_tokens = 20) const {
    admitted_request asked;
    asked.id = id;
    asked.prompt = {1, 2, 3};
    sampling_params sampling;
    sampling.max_tokens = max_tokens;
    asked.sampling = std::make_shared<const sampling_params>(sampling);
    asked.most_tokens = 30;
    asked.deadline = now + 1h;
    asked.reply = std::make_shared<reply_handle>(sink_of(client), nullptr, "");
    asked.reply->accepted({3, 0});
    return asked;
  }
  void join(worker_id worker) { core.take({worker, worker_joined{{"m", "c", "f", 1000, 4, ""}}}, now); }
  void leave(worker_id worker) { core.take({worker, worker_left{"killed"}}, now); }
  void say(worker_id worker, stream_progress what) {
    core.take({worker, step_batch{{std::move(what)}}}, now);
    EXPECT_EQ(core.check_integrity(), "");
  }
  static stream_progress tokens(attempt_id attempt, std::vector<token_id> ids) {
    stream_progress progress;
    progress.attempt = attempt;
    for (const auto id : ids)
      progress.delta.tokens.emplace_back().id = id;
    progress.n_steps = 1;
    progress.delta.step = step_trace{1, 0, 0, token_origin::model, 1};
    return progress;
  }
  static stream_progress handed_over(attempt_id attempt) {
    stream_progress progress;
    progress.attempt = attempt;
    progress.is_handed_over = true;
    return progress;
  }
  static stream_progress finished(attempt_id attempt, finish_reason reason) {
    stream_progress progress;
    progress.attempt = attempt;
    progress.finished.emplace();
    progress.finished->reason = reason;
    return progress;
  }
  /// What was ordered of this kind since the last call of any.
  template <class T>
  std::vector<std::pair<worker_id, T>> ordered() {
    std::vector<std::pair<worker_id, T>> some;
    for (auto& [worker, order] : core.take_orders())
      if (auto* one = std::get_if<T>(&order))
        some.emplace_back(worker, std::move(*one));
    return some;
  }
  attempt_id only_attempt() {
    const auto orders = ordered<stream_order>();
    return orders.size() == 1 ? orders[0].second.attempt : 0;
  }

  steady_time now{1000h};
  std::shared_ptr<answer_recorder> client = std::make_shared<answer_recorder>();
  dispatch_core core{{}, std::make_shared<fake_tokenizer>()};
};

} // namespace

TEST_F(dispatching, AWorkerThatJoinsAgainHasLostItsOrders) {
  join(1);
  core.admit(request(), now);
  say(1, tokens(only_attempt(), {7}));
  join(1);
  const auto orders = ordered<stream_order>();
  ASSERT_EQ(orders.size(), 1U);
  EXPECT_EQ(orders[0].second.delivered, std::vector<token_id>{7});
  EXPECT_EQ(core.n_replays(), 1U);
}

TEST_F(dispatching, LastTokensWhoseEndIsLostAreSaidByTheNextWorkerOnly) {
  join(1);
  core.admit(request(), now);
  auto last = tokens(only_attempt(), {7});
  last.delta.tail = "the end";
  say(1, last);
  leave(1);
  join(2);
  last.attempt = only_attempt();
  say(2, last);
  say(2, finished(last.attempt, finish_reason::stop));
  EXPECT_EQ(client->now().tokens, std::vector<token_id>{7});
  EXPECT_EQ(client->now().text, "the end");
}

TEST_F(dispatching, TokensHaveTheBytesThatTheVocabularyGivesThem) {
  join(1);
  auto asked = request();
  std::vector<generated_token> got;
  asked.reply = std::make_shared<reply_handle>(
      [&](const generation_event& event) {
        if (const auto* delta = std::get_if<generation_delta>(&event))
          got = delta->tokens;
      },
      nullptr, "");
  asked.reply->accepted({3, 0});
  core.admit(asked, now);
  say(1, tokens(only_attempt(), {7}));
  ASSERT_EQ(got.size(), 1U);
  EXPECT_EQ(got[0].bytes, fake_tokenizer{}.piece(7));
  EXPECT_NE(got[0].bytes, "");
}

TEST_F(dispatching, WhatAnotherWorkerSaysOfAnAttemptIsIgnored) {
  join(1);
  core.admit(request(), now);
  const auto attempt = only_attempt();
  join(2);
  say(2, tokens(attempt, {9}));
  EXPECT_TRUE(client->now().tokens.empty());
  say(1, tokens(attempt, {7}));
  EXPECT_EQ(client->now().tokens, std::vector<token_id>{7});
}

TEST_F(dispatching, AStreamThatIsHandedOverHowOftenEverIsNotTakenForTheReason) {
  join(1);
  core.admit(request(), now);
  for (int i = 0; i < 20; ++i)
    say(1, handed_over(only_attempt()));
  EXPECT_FALSE(client->ended());
  EXPECT_NE(only_attempt(), 0U);
}

TEST_F(dispatching, WhoHasSaidSomethingMayBeLostAgainAsOften) {
  core.admit(request(), now);
  for (worker_id worker = 1; worker <= 20; ++worker) {
    join(worker);
    if (worker % 4 == 0)
      say(worker, tokens(only_attempt(), {static_cast<token_id>(worker)}));
    leave(worker);
    ASSERT_FALSE(client->ended()) << worker;
    core.take_orders();
  }
  EXPECT_EQ(client->now().tokens, (std::vector<token_id>{4, 8, 12, 16, 20}));
}

TEST_F(dispatching, AWorkerHasASecondToEndWhatIsPastItsDeadline) {
  join(1);
  auto asked = request();
  asked.deadline = now + 10s;
  core.admit(asked, now);
  core.take_orders();
  now += 10500ms;
  core.expire(now);
  EXPECT_FALSE(client->ended());
  now += 600ms;
  core.expire(now);
  ASSERT_TRUE(client->now().finished.has_value());
  EXPECT_EQ(client->now().finished->reason, finish_reason::deadline);
  EXPECT_EQ(ordered<stream_cancel>().size(), 1U);
}

TEST_F(dispatching, APostponedDeadlineIsToldTheWorkerOnce) {
  join(1);
  auto asked = request();
  core.admit(asked, now);
  core.take_orders();
  asked.deadline.postpone(now + 2h);
  core.expire(now);
  core.expire(now);
  const auto told = ordered<stream_postponement>();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].second.time_left_ms, 7'200'000);
}

TEST_F(dispatching, WhoseDeadlineMovedAsItsWorkerGaveUpGoesOn) {
  join(1);
  auto asked = request();
  asked.deadline = now + 10s;
  core.admit(asked, now);
  const auto attempt = only_attempt();
  now += 10s;
  asked.deadline.postpone(now + 1h);
  say(1, finished(attempt, finish_reason::deadline));
  EXPECT_FALSE(client->ended());
  EXPECT_NE(only_attempt(), 0U);
}

TEST_F(dispatching, ACancelledStreamIsCancelledAtItsWorker) {
  join(1);
  core.admit(request(), now);
  const auto attempt = only_attempt();
  core.cancel(id, now);
  const auto told = ordered<stream_cancel>();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].second.attempt, attempt);
  EXPECT_EQ(client->now().finished->reason, finish_reason::cancelled);
}

TEST_F(dispatching, AChangedLengthKeepsWithinWhatWasAdmittedAndHoldsForTheNextAttempt) {
  join(1);
  core.admit(request(), now);
  core.take_orders();
  generation_change change;
  change.max_tokens = 1000;
  core.amend(id, change, now);
  join(2);
  leave(1);
  const auto orders = ordered<stream_order>();
  ASSERT_EQ(orders.size(), 1U);
  EXPECT_EQ(orders[0].second.sampling.max_tokens, 30);
}

TEST_F(dispatching, AWaitingStreamThatIsLongEnoughNowEnds) {
  join(1);
  core.admit(request(), now);
  say(1, tokens(only_attempt(), {7, 8}));
  leave(1);
  generation_change change;
  change.max_tokens = 2;
  core.amend(id, change, now);
  ASSERT_TRUE(client->now().finished.has_value());
  EXPECT_EQ(client->now().finished->reason, finish_reason::length);
  EXPECT_EQ(client->now().tokens, (std::vector<token_id>{7, 8}));
}

TEST_F(dispatching, TheNextWorkerIsToldToStopThinkingToo) {
  join(1);
  core.admit(request(), now);
  core.take_orders();
  generation_change change;
  change.stop_thinking = true;
  core.amend(id, change, now);
  EXPECT_EQ(ordered<stream_change>().size(), 1U);
  join(2);
  leave(1);
  const auto told = ordered<stream_change>();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].first, 2U);
  EXPECT_TRUE(told[0].second.change.stop_thinking);
}

TEST_F(dispatching, AfterItDrainedAWorkerIsGivenWhatWaits) {
  join(1);
  worker_status status;
  status.is_draining = true;
  core.take({1, status}, now);
  core.admit(request(), now);
  EXPECT_EQ(core.n_unplaced(), 1);
  status.is_draining = false;
  core.take({1, status}, now);
  EXPECT_EQ(core.n_unplaced(), 0);
}

TEST_F(dispatching, UsageCountsTheStepsAfterThePromptsOfAllAttempts) {
  join(1);
  core.admit(request(), now);
  say(1, tokens(only_attempt(), {7}));
  leave(1);
  join(2);
  const auto attempt = only_attempt();
  say(2, tokens(attempt, {8}));
  say(2, tokens(attempt, {9}));
  say(2, finished(attempt, finish_reason::stop));
  ASSERT_TRUE(client->now().finished.has_value());
  EXPECT_EQ(client->now().finished->usage.n_steps, 2);
  EXPECT_EQ(client->now().finished->usage.n_prompt_tokens, 3);
}

TEST_F(dispatching, AnErrorOfTheRequestEndsItBehindWhatItsWorkerHadSaid) {
  join(1);
  core.admit(request(), now);
  auto last = tokens(only_attempt(), {7});
  last.delta.tail = "the end";
  last.failed = generation_failed{500, "broken", "it broke", "", 0};
  say(1, last);
  ASSERT_TRUE(client->now().failed.has_value());
  EXPECT_EQ(client->now().failed->code, "broken");
  EXPECT_EQ(client->now().text, "the end");
}

} // namespace souffleur
