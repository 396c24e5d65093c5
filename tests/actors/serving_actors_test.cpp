// The real actors under CAF's testing scheduler, in short plays whose course is written down. Random ones:
// simulation_test.cpp.
#include "tests/actors/stage.hpp"

#include <gtest/gtest.h>

namespace souffleur {
namespace {

using namespace souffleur::testing;

TEST(ServingActors, PagesComeBackFromFilesWhenTheKvManagerHasDied) {
  serving_config config;
  config.tier_folder = "on";
  config.tier_min_hits = 1;
  stage play{config};
  for (int i = 0; i < 2; ++i) {
    play.submit(32, 5);
    play.run_until_ended();
    play.run_until_idle();
  }
  EXPECT_EQ(play.n_tier_hits(), 0U);
  play.kill("kv_manager");
  play.run_until_idle();
  auto& last = play.submit(32, 5);
  play.run_until_ended();
  EXPECT_EQ(play.n_tier_hits(), 2U);
  const auto answer = last.recorder->now();
  EXPECT_EQ(answer.finished->usage.n_cached_tokens, 2 * page_tokens);
  EXPECT_EQ(answer.tokens, expected_tokens(last.request));
}

serving_config drafted_by_a_model() {
  serving_config config;
  config.has_draft_model = true;
  config.draft_policy = "fixed";
  config.drafter = "draft_model";
  config.draft_model_budget = std::chrono::milliseconds{1}; // comes before every other timeout
  return config;
}

/// The same model drafts for itself, so what it drafts stands.
TEST(ServingActors, ADraftModelsTokensStandAndAreCountedAsIts) {
  stage play{drafted_by_a_model()};
  auto& who = play.submit(30, 39); // greedy
  play.run_until_ended();
  play.run_until_idle();
  const auto answer = who.recorder->now();
  EXPECT_EQ(answer.tokens, expected_tokens(who.request));
  EXPECT_GT(answer.finished->usage.n_accepted_tokens, 3);
  EXPECT_EQ(play.metric("souffleur_accepted_draft_tokens_total", "draft_model"),
            answer.finished->usage.n_accepted_tokens);
}

/// Planted bug that it caught: the drafter answers, and never takes up what ended.
TEST(ServingActors, WhatIsSaidAgainIsDraftedFromTheFirstAnswer) {
  serving_config config;
  config.draft_policy = "fixed";
  config.drafter = "suffix";
  stage play{config};
  for (int i = 0; i < 2; ++i) {
    play.submit(30, 39); // greedy
    play.run_until_ended();
    play.run_until_idle();
  }
  EXPECT_GT(play.metric("souffleur_accepted_draft_tokens_total", "answers"), 3);
}

/// Planted bug that it caught: its death is not heard, so it is thought to be at work for ever.
TEST(ServingActors, ADraftModelThatDiedIsAskedAgain) {
  for (int n_steps_before = 0; n_steps_before < 60; ++n_steps_before) {
    stage play{drafted_by_a_model()};
    auto& first = play.submit_and_step(30, 39, n_steps_before);
    play.kill("draft_model");
    play.run_until_ended();
    ASSERT_EQ(first.recorder->now().tokens, expected_tokens(first.request));
    auto& second = play.submit(30, 39);
    play.run_until_ended();
    ASSERT_GT(second.recorder->now().finished->usage.n_accepted_tokens, 3);
  }
}

/// Planted bug that it caught: the step is planned when the answer comes, and again when the time is up.
TEST(ServingActors, AStepIsPlannedOnceWhetherTheDraftModelAnswersOrIsLate) {
  for (int n_steps_before = 0; n_steps_before < 120; ++n_steps_before) {
    stage play{drafted_by_a_model()};
    auto& who = play.submit_and_step(30, 39, n_steps_before);
    play.timeout();
    play.run_until_ended();
    ASSERT_EQ(who.recorder->now().tokens, expected_tokens(who.request));
    ASSERT_EQ(play.model().complaint(), "");
  }
}

TEST(ServingActors, ACancelledGenerationTakesPartInAtMostTheStepUnderWay) {
  for (int n_steps_before = 0; n_steps_before < 120; ++n_steps_before) {
    stage play{serving_config{}};
    auto& who = play.submit_and_step(30, 19, n_steps_before);
    if (who.recorder->ended())
      break;
    play.cancel(who);
    for (int i = 0; i < 50 && !who.recorder->ended(); ++i)
      play.step();
    ASSERT_TRUE(who.recorder->ended());
    const int n_forwards = play.model().n_forwards;
    play.run_until_idle();
    EXPECT_LE(play.model().n_forwards - n_forwards, 1);
    EXPECT_LE(play.metric("souffleur_kv_pages", "\"owned\""), 0); // -1: it never ran
    EXPECT_LE(play.metric("souffleur_kv_pages", "\"pinned\""), 0);
  }
}

TEST(ServingActors, TheVerifierRestsOnceWhenNoStepComes) {
  stage play{serving_config{}};
  for (int n_rests = 0; n_rests < 3; ++n_rests) {
    play.submit(30, 19);
    play.run_until_ended();
    play.run_until_idle();
    EXPECT_EQ(play.model().n_rests, n_rests);
    for (int i = 0; i < 100; ++i) {
      play.timeout();
      play.run_until_idle();
    }
    EXPECT_EQ(play.model().n_rests, n_rests + 1);
  }
}

serving_config with_a_cache() {
  serving_config config;
  config.draft_policy = "fixed";
  config.drafter = "suffix";
  config.cache_policy = "exact";
  return config;
}

/// `n_steps` of a generation, then the part hangs; the time until somebody notices passes by itself.
template <class Handle>
void expect_replaced(const std::string& name, Handle peers::*part) {
  const auto label = "\"" + name + "\"";
  for (int n_steps_before = 0; n_steps_before < 60; n_steps_before += 3) {
    stage play{with_a_cache()};
    play.run_until_idle();
    auto& first = play.submit_and_step(30, 19, n_steps_before);
    play.hang(part);
    play.run_until_ended();
    ASSERT_EQ(first.recorder->now().tokens, expected_tokens(first.request));
    auto& second = play.submit(31, 19); // if it was not needed for the first one any more
    play.run_until_ended();
    ASSERT_EQ(second.recorder->now().tokens, expected_tokens(second.request));
    for (int i = 0; i < 200 && play.metric("souffleur_stuck_parts_total", label) < 1; ++i)
      play.step();
    ASSERT_EQ(play.metric("souffleur_stuck_parts_total", label), 1) << n_steps_before;
    ASSERT_EQ(play.metric("souffleur_actor_restarts_total", label), 1);
    auto& third = play.submit(29, 19);
    play.run_until_ended();
    ASSERT_EQ(third.recorder->now().tokens, expected_tokens(third.request));
    play.run_until_settled();
    ASSERT_EQ(play.page_complaint(), "");
    ASSERT_EQ(play.occupancy().n_owned, 0);
    ASSERT_EQ(play.metric("souffleur_stuck_parts_total", label), 1);
  }
}

TEST(ServingActors, AKvManagerThatHangsIsReplaced) { expect_replaced("kv_manager", &peers::kv); }
TEST(ServingActors, ADrafterThatHangsIsReplaced) { expect_replaced("drafter", &peers::drafter); }
TEST(ServingActors, AResponseCacheThatHangsIsReplaced) { expect_replaced("response_cache", &peers::cache); }

TEST(ServingActors, APartThatIsOnlySlowIsKept) {
  serving_config config = with_a_cache();
  config.pulse_timeout = std::chrono::hours{1};
  stage play{config};
  play.submit_and_step(30, 19, 20);
  for (int i = 0; i < 20; ++i) {
    play.hold_up(static_cast<unsigned>(i), 100);
    play.pass(std::chrono::seconds{11}); // whoever is asked is late
    play.run_until_idle();
  }
  play.run_until_ended();
  EXPECT_LT(play.metric("souffleur_stuck_parts_total", "kv_manager"), 1);
  EXPECT_LT(play.metric("souffleur_stuck_parts_total", "drafter"), 1);
}

} // namespace
} // namespace souffleur
