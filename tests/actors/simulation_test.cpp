// Deterministic simulation: the whole ensemble under a random schedule and a random plan of faults.
// RapidCheck says who handles its next message, who is held up, who dies, when the model throws, the store
// breaks, clocks jump, and what clients do; after every step the rules of the house are checked. A failure
// prints the line that repeats it (RC_PARAMS="reproduce=…"), shrunk to a short play.
// SOUFFLEUR_SCHEDULES=10000 plays longer.
#include "tests/actors/stage.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <array>
#include <cstdlib>
#include <stdexcept>

namespace souffleur {
namespace {

using namespace souffleur::testing;

enum act_kind {
  somebody_runs,
  submits,
  cancels,
  reads, ///< a slow client
  timeout_fires,
  is_held_up,
  is_killed,
  hangs,
  model_throws,
  store_breaks,
  time_passes,
  wall_clock_is_set
};

struct act {
  act_kind kind = somebody_runs;
  unsigned a = 0;
  unsigned b = 0;
};

[[maybe_unused]] std::ostream& operator<<(std::ostream& out, const act& it) {
  return out << "{" << it.kind << ", " << it.a << ", " << it.b << "}";
}

rc::Gen<act> any_act() {
  const auto any_number =
      rc::gen::resize(rc::kNominalSize, rc::gen::arbitrary<unsigned>()); // in short plays too
  const auto kind = rc::gen::weightedElement<act_kind>({{70, somebody_runs},
                                                        {8, submits},
                                                        {2, cancels},
                                                        {2, reads},
                                                        {1, timeout_fires},
                                                        {1, is_held_up},
                                                        {2, is_killed},
                                                        {1, hangs},
                                                        {1, model_throws},
                                                        {1, store_breaks},
                                                        {1, time_passes},
                                                        {1, wall_clock_is_set}});
  return rc::gen::build<act>(rc::gen::set(&act::kind, kind), rc::gen::set(&act::a, any_number),
                             rc::gen::set(&act::b, any_number));
}

serving_config any_config() {
  serving_config config;
  config.n_kv_pages = *rc::gen::inRange(6, 24);
  config.max_running = *rc::gen::inRange(1, 6);
  config.max_batch_tokens = config.max_running + *rc::gen::inRange(0, 30);
  config.prefill_chunk = *rc::gen::inRange(1, 30);
  config.prefix_cache = *rc::gen::arbitrary<bool>();
  config.scheduling_policy =
      *rc::gen::element<std::string>("fcfs", "priority", "lpm", "deficit_lpm", "deadline");
  config.eviction_policy = *rc::gen::element<std::string>("lhd", "gdsf", "lru", "lfu", "fifo", "slru");
  config.draft_policy = *rc::gen::element<std::string>("fixed", "adaptive", "off");
  config.drafter = *rc::gen::element<std::string>("auto", "suffix", "recycling", "draft_model", "off");
  config.has_draft_model = *rc::gen::arbitrary<bool>();
  config.drafts_ahead = *rc::gen::arbitrary<bool>();
  config.cache_policy = *rc::gen::element<std::string>("exact", "fixed", "bounded", "off");
  config.cache_threshold = 2; // answers to other questions are drafted from, never served
  config.cache_replay_tokens_per_s = *rc::gen::element(0.0, 1e5);
  config.max_restarts = 1'000'000;
  if (config.prefix_cache && *rc::gen::arbitrary<bool>()) {
    config.tier_folder = "on";
    config.tier_min_hits = 1;
    config.tier_step_bytes = 1;
  }
  return config;
}

constexpr std::array mortals = {"verifier", "kv_manager",   "drafter",     "draft_model",    "response_cache",
                                "metrics",  "scheduler",    "intake",      "kv_tier_reader", "kv_tier_writer",
                                "embedder", "answer_store", "answer_judge"};

/// A client that has taken less of its answer is cut off, as the server's sockets do.
constexpr std::size_t most_unread = 5;

/// One play: acts, and the rules that hold after each.
class simulation {
public:
  explicit simulation(bool with_faults) : with_faults_(with_faults), play_(any_config()) {
    play_.model().before_forward = [this] {
      if (n_to_throw_ == 0)
        return;
      --n_to_throw_;
      ++n_thrown_;
      play_.model().forward_has_thrown();
      throw std::runtime_error("planned");
    };
  }

  void perform(const act& it) {
    switch (it.kind) {
    case somebody_runs:
      play_.step(it.a);
      break;
    case submits:
      submit(it.a, it.b);
      break;
    case cancels:
      if (auto* who = one_of(it.a))
        play_.cancel(*who);
      break;
    case reads:
      if (auto* who = one_of(it.a))
        who->n_read += it.b % 8;
      break;
    case timeout_fires:
      play_.timeout();
      break;
    case is_held_up:
      play_.hold_up(it.a, static_cast<int>(it.b % 200));
      break;
    case store_breaks:
      play_.break_store(it.a % 2 == 0);
      break;
    case wall_clock_is_set:
      play_.set_wall_clock(static_cast<std::int64_t>(it.a % 20'000) - 10'000);
      break;
    case is_killed:
    case hangs:
    case model_throws:
    case time_passes:
      if (with_faults_)
        perform_fault(it);
      break;
    }
    check();
  }

  void finish() {
    play_.run_until_ended([this] { check(); });
    for (const auto& who : play_.clients())
      check_end(who);
    play_.run_until_settled();
    check();
    check_still_serves();
    RC_ASSERT(play_.in_flight() == 0);
    RC_ASSERT(play_.model().complaint() == "");
    RC_ASSERT(play_.draft_model().complaint() == "");
    RC_ASSERT(play_.n_given_up() == 0);
    RC_ASSERT(play_.health().is_alive);
  }

private:
  client* one_of(unsigned a) {
    auto& all = play_.clients();
    return all.empty() ? nullptr : &all[a % all.size()];
  }

  void submit(unsigned a, unsigned b) {
    auto request = request_of(play_.next_id(), a, b);
    const bool is_poisoned = with_faults_ && b % 23 == 5;
    if (is_poisoned)
      std::get<text_prompt>(request.prompt).text.insert(0, "!");
    if (b % 5 == 1)
      request.timeout = std::chrono::milliseconds{1 + b % 3000};
    auto& who = play_.submit(std::move(request));
    who.is_slow = b % 7 == 3;
    who.is_poisoned = is_poisoned;
    if (is_poisoned)
      who.expected.clear();
  }

  void perform_fault(const act& it) {
    if (it.kind == is_killed)
      play_.kill(mortals[it.a % mortals.size()]);
    else if (it.kind == hangs)
      hang(it.a);
    else if (it.kind == model_throws)
      n_to_throw_ = 1 + static_cast<int>(it.a % 4);
    else
      play_.pass(std::chrono::milliseconds{it.a % 10 == 0 ? it.b % 1'000'000 : it.b % 2000});
  }

  void hang(unsigned a) {
    if (a % 3 == 0)
      play_.hang(&peers::kv);
    else if (a % 3 == 1)
      play_.hang(&peers::drafter);
    else
      play_.hang(&peers::cache);
  }

  /// Rules that hold at any time.
  void check() {
    RC_ASSERT(play_.page_complaint() == "");
    RC_ASSERT(play_.model().complaint() == "");
    int n_open = 0;
    for (auto& who : play_.clients()) {
      const auto answer = who.recorder->now();
      RC_ASSERT(answer.breach == "");
      RC_ASSERT(answer.n_ends <= 1);
      RC_ASSERT(answer.tokens.size() <= who.expected.size());
      for (; who.n_checked < answer.tokens.size(); ++who.n_checked)
        RC_ASSERT(answer.tokens[who.n_checked] == who.expected[who.n_checked]);
      n_open += answer.n_ends == 0 ? 1 : 0;
      if (answer.n_ends > 0 && !who.seen_to_end)
        who.seen_to_end = play_.now();
      if (who.is_slow && !who.cancelled && answer.n_ends == 0 &&
          answer.tokens.size() > who.n_read + most_unread)
        play_.cancel(who);
    }
    RC_ASSERT(play_.in_flight() == n_open);
  }

  void check_end(const client& who) const {
    const auto answer = who.recorder->now();
    RC_ASSERT(answer.n_ends == 1);
    if (answer.failed) {
      const auto& code = answer.failed->code;
      if (code == "step_failed")
        RC_ASSERT((who.is_poisoned || n_thrown_ >= 3));
      else if (code == "engine_restarted")
        RC_ASSERT((play_.n_fatal_deaths() > who.n_deaths_before && answer.failed->status == 503 &&
                   answer.failed->retry_after_s > 0));
      else
        RC_FAIL("an error without a cause: " + code);
      return;
    }
    const auto reason = answer.finished->reason;
    if (reason == finish_reason::cancelled)
      RC_ASSERT(who.cancelled);
    else if (reason == finish_reason::deadline)
      RC_ASSERT(is_time_up(who));
    else
      RC_ASSERT((!who.is_poisoned && answer.tokens == who.expected));
  }

  bool is_time_up(const client& who) const { return *who.seen_to_end - who.submitted >= timeout_of(who); }

  std::chrono::milliseconds timeout_of(const client& who) const {
    const auto asked = who.request.timeout;
    return asked.count() > 0 ? asked : play_.config().request_timeout;
  }

  /// One more request, which nothing disturbs; then nobody holds anything.
  void check_still_serves() {
    n_to_throw_ = 0;
    play_.come_back();
    auto& last = play_.submit(21, 7);
    play_.run_until_ended([this] { check(); });
    const auto answer = last.recorder->now();
    RC_ASSERT(answer.finished.has_value());
    RC_ASSERT(answer.tokens == last.expected);
    play_.run_until_idle();
    RC_ASSERT(play_.occupancy().n_owned == 0);
    RC_ASSERT(play_.occupancy().n_pinned == 0);
    RC_ASSERT(play_.metric("vllm:num_requests_running", "") == 0);
    RC_ASSERT(play_.metric("vllm:num_requests_waiting", "") == 0);
  }

  bool with_faults_;
  int n_to_throw_ = 0;
  int n_thrown_ = 0;
  stage play_;
};

int n_schedules() {
  const char* wanted = std::getenv("SOUFFLEUR_SCHEDULES");
  return wanted ? std::max(1, std::atoi(wanted)) : 500;
}

void simulate(bool with_faults) {
  const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
  rc::detail::TestMetadata metadata;
  metadata.id = metadata.description = std::string{test->test_case_name()} + "/" + test->name();
  auto parameters = rc::detail::configuration().testParams;
  parameters.maxSuccess = with_faults ? n_schedules() : std::max(1, n_schedules() / 5);
  const auto result = rc::detail::checkTestable(
      [=] {
        simulation play{with_faults};
        for (const auto& it : *rc::gen::scale(8.0, rc::gen::container<std::vector<act>>(any_act())))
          play.perform(it);
        play.finish();
      },
      metadata, parameters);
  std::ostringstream said;
  rc::detail::printResultMessage(result, said);
  EXPECT_TRUE(result.is<rc::detail::SuccessResult>()) << "seed " << parameters.seed << "\n" << said.str();
}

TEST(Simulation, NobodyIsHeldUpOrAnsweredWrongInAnySchedule) { simulate(false); }

/// Planted bugs that it caught: a dropped request that nobody tells; a stream that ends twice; a credit that
/// is not given back; who joins a flight is not given what came before, or not told that it failed; a refused
/// opening that keeps its prefix pinned; a kv manager replaced without the scheduler's knowledge; a new
/// scheduler beside the old one's pages; a part that is not introduced, or not started after its pause, or
/// whose successor is not noticed; an answer to a round that was given up.
TEST(Simulation, WhateverBreaksStreamsGoOnBitIdenticallyOrEndWithTheRightError) { simulate(true); }

} // namespace
} // namespace souffleur
