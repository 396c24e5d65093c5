// The real actors under CAF's testing scheduler: RapidCheck says which of them handles its next message, when
// a client submits or cancels, when a timeout fires and who is killed. One property covers many
// interleavings, and a failure shrinks to a short schedule. Planted bugs that it caught: see the list at the
// property.
#include "actors/behaviors.hpp"
#include "tests/actors/answer_recorder.hpp"
#include "tests/actors/fake_embedder.hpp"
#include "tests/actors/fake_model.hpp"
#include "tests/actors/fake_store.hpp"
#include "tests/actors/fake_text.hpp"
#include "tests/engine/scratch_folder.hpp"

#include <caf/scheduler/test_coordinator.hpp>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <sstream>

namespace souffleur {
namespace {

using namespace souffleur::testing;

struct testing_config : caf::actor_system_config {
  testing_config() { set("scheduler.policy", caf::atom("testing")); }
};

generation_request request_of(request_id id, unsigned a, unsigned b) {
  if (b % 2 == 0) { // so that many are the same
    a %= 4;
    b %= 4;
  }
  generation_request request;
  request.id = id;
  request.tenant = a % 2 == 0 ? "a" : "b";
  request.prompt = text_prompt{std::string("the souffleur whispers every line").substr(0, 1 + a % 33)};
  request.sampling.temperature = b % 3 == 0 ? 0 : 1;
  request.sampling.max_tokens = 1 + static_cast<int>(b % 20);
  request.sampling.seed = b % 4;
  request.max_tokens_given = true;
  request.seed_given = true;
  return request;
}

std::vector<token_id> expected_tokens(const generation_request& request) {
  auto prompt = fake_tokenizer{}.encode(std::get<text_prompt>(request.prompt).text, true);
  prompt.insert(prompt.begin(), fake_bos);
  auto tokens = expected_output(prompt, request.sampling);
  if (!tokens.empty() && tokens.back() == fake_end)
    tokens.pop_back();
  return tokens;
}

struct client {
  generation_request request;
  std::shared_ptr<answer_recorder> recorder = std::make_shared<answer_recorder>();
  bool cancelled = false;
};

/// An ensemble whose only source of progress is the test. Ends everything before the actor system goes, which
/// waits for its actors.
class stage {
public:
  explicit stage(const serving_config& config)
      : model_(std::make_shared<fake_model>(config.n_kv_pages)),
        metrics_(std::make_shared<serving_metrics>(config.model_name)) {
    if (config.tier_folder != "off")
      tier_ = *file_tier::open(
          {folder_.path(), config.tier_max_bytes, model_->page_format(), model_->page_bytes()});
    ensemble parts;
    parts.config = config;
    parts.model = model_;
    parts.format = {std::make_shared<fake_tokenizer>(), std::make_shared<fake_chat_template>(), "fake", 4096};
    parts.metrics = metrics_;
    if (config.has_draft_model)
      parts.draft_model = {draft_model_, fake_vocabulary, {fake_end}};
    parts.tier = tier_;
    if (make_cache_policy(config.cache_policy)->mode() == cache_mode::semantic)
      parts.embedder = std::make_shared<fake_embedder>();
    parts.store = store_;
    parts.credits = credits_;
    parts.detached = false;
    parts.give_up = [this](const std::string&) { ++n_given_up_; };
    supervisor_ = system_.spawn(supervisor, std::move(parts));
  }

  ~stage() {
    compat::anon_send(supervisor_, shutdown_order{});
    supervisor_ = nullptr;
    while (scheduler_.run() + scheduler_.trigger_timeouts() > 0) {
    }
  }

  client& submit(unsigned a, unsigned b) {
    auto& who = clients_.emplace_back();
    who.request = request_of(clients_.size(), a, b);
    credits_->take(who.request.tenant);
    compat::anon_send(supervisor_, submission{std::make_shared<generation_request>(who.request),
                                              std::make_shared<reply_handle>(sink_of(who.recorder), credits_,
                                                                             who.request.tenant)});
    return who;
  }

  client& submit_and_step(unsigned a, unsigned b, int n_steps) {
    auto& who = submit(a, b);
    for (int i = 0; i < n_steps; ++i)
      step();
    return who;
  }

  void cancel(client& who) {
    who.cancelled = true;
    compat::anon_send(supervisor_, cancellation{who.request.id});
  }

  void kill(const std::string& actor) { compat::anon_send(supervisor_, kill_order{actor}); }

  /// One runnable actor handles one message. Time passes only if nobody can run. False if nothing is left.
  bool step(unsigned choice = 0) {
    if (!scheduler_.has_job())
      return scheduler_.trigger_timeout();
    auto& jobs = scheduler_.jobs;
    std::rotate(jobs.begin(), jobs.begin() + static_cast<std::ptrdiff_t>(choice % jobs.size()), jobs.end());
    scheduler_.run_once();
    return true;
  }

  void timeout() { scheduler_.trigger_timeout(); }

  bool all_ended() const {
    return std::all_of(clients_.begin(), clients_.end(),
                       [](const client& who) { return who.recorder->ended(); });
  }

  /// Until every client has its end. The bound is far beyond what honest work takes.
  void run_until_ended() {
    for (int i = 0; i < 200'000 && !all_ended(); ++i)
      if (!step())
        break;
    RC_ASSERT(all_ended());
  }

  /// Until nobody has a message.
  void run_until_idle() { scheduler_.run(); }

  double metric(const std::string& name, const std::string& label) const {
    std::istringstream lines{metrics_->text()};
    for (std::string line; std::getline(lines, line);)
      if (line.starts_with(name + "{") && line.find(label) != std::string::npos)
        return std::stod(line.substr(line.rfind(' ') + 1));
    return -1;
  }

  std::deque<client>& clients() { return clients_; }
  void break_store(bool is_broken) { store_->is_broken = is_broken; }
  fake_model& model() { return *model_; }
  fake_model& draft_model() { return *draft_model_; }
  int in_flight() const { return credits_->in_flight(); }
  std::uint64_t n_tier_hits() const { return tier_->counters().n_hit_pages; }
  int n_given_up() const { return n_given_up_; }

private:
  scratch_folder folder_;
  std::shared_ptr<fake_model> model_;
  std::shared_ptr<fake_model> draft_model_ = std::make_shared<fake_model>(12);
  std::shared_ptr<file_tier> tier_; ///< null: off
  std::shared_ptr<fake_store> store_ = std::make_shared<fake_store>();
  std::shared_ptr<serving_metrics> metrics_;
  std::shared_ptr<admission_credits> credits_ = std::make_shared<admission_credits>(1 << 20);
  std::deque<client> clients_;
  int n_given_up_ = 0;
  testing_config config_;
  caf::actor_system system_{config_};
  caf::scheduler::test_coordinator& scheduler_ =
      dynamic_cast<caf::scheduler::test_coordinator&>(system_.scheduler());
  supervisor_actor supervisor_;
};

enum act_kind { somebody_runs, submits, cancels, timeout_fires, is_killed, store_breaks };

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
  const auto kind = rc::gen::weightedElement<act_kind>({{60, somebody_runs},
                                                        {6, submits},
                                                        {2, cancels},
                                                        {1, timeout_fires},
                                                        {1, is_killed},
                                                        {1, store_breaks}});
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
  config.draft_policy = *rc::gen::element<std::string>("fixed", "adaptive", "off");
  config.drafter = *rc::gen::element<std::string>("auto", "suffix", "recycling", "draft_model", "off");
  config.has_draft_model = *rc::gen::arbitrary<bool>();
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

void check(const client& who, int n_verifier_deaths) {
  const auto answer = who.recorder->now();
  const auto expected = expected_tokens(who.request);
  RC_ASSERT(answer.n_ends == 1);
  RC_ASSERT(answer.breach == "");
  RC_ASSERT(answer.tokens.size() <= expected.size());
  RC_ASSERT(std::equal(answer.tokens.begin(), answer.tokens.end(), expected.begin()));
  if (answer.failed) {
    const bool too_often = answer.failed->code == "step_failed" && n_verifier_deaths >= 3;
    RC_ASSERT((too_often || (answer.failed->status == 503 && answer.failed->retry_after_s > 0)));
  } else if (answer.finished->reason == finish_reason::cancelled) {
    RC_ASSERT(who.cancelled);
  } else {
    RC_ASSERT(answer.tokens == expected);
  }
}

/// Submits one more request, which nothing disturbs.
void check_still_serves(stage& play, unsigned a, unsigned b) {
  auto& last = play.submit(a, b);
  play.run_until_ended();
  const auto answer = last.recorder->now();
  RC_ASSERT(answer.finished.has_value());
  RC_ASSERT(answer.tokens == expected_tokens(last.request));
  play.run_until_idle();
  RC_ASSERT(play.metric("souffleur_kv_pages", "\"owned\"") == 0);
  RC_ASSERT(play.metric("souffleur_kv_pages", "\"pinned\"") == 0);
  RC_ASSERT(play.metric("vllm:num_requests_running", "") == 0);
  RC_ASSERT(play.metric("vllm:num_requests_waiting", "") == 0);
}

void play_acts(bool with_deaths) {
  const auto config = any_config();
  const auto acts = *rc::gen::scale(8.0, rc::gen::container<std::vector<act>>(any_act()));
  int n_verifier_deaths = 0, n_deaths = 0;
  stage play{config};
  for (const auto& it : acts) {
    switch (it.kind) {
    case somebody_runs:
      play.step(it.a);
      break;
    case submits:
      play.submit(it.a, it.b);
      break;
    case cancels:
      if (auto& all = play.clients(); !all.empty())
        play.cancel(all[it.a % all.size()]);
      break;
    case timeout_fires:
      play.timeout();
      break;
    case store_breaks:
      play.break_store(it.a % 2 == 0);
      break;
    case is_killed:
      if (with_deaths) {
        const std::string name = mortals[it.a % mortals.size()];
        play.kill(name);
        ++n_deaths;
        n_verifier_deaths += name == "verifier";
      }
      break;
    }
  }
  play.run_until_ended();
  for (const auto& who : play.clients()) {
    check(who, n_verifier_deaths);
    if (n_deaths == 0)
      RC_ASSERT(who.recorder->now().finished.has_value());
  }
  play.run_until_idle();
  check_still_serves(play, 21, 7);
  RC_ASSERT(play.in_flight() == 0);
  RC_ASSERT(play.model().complaint() == "");
  RC_ASSERT(play.draft_model().complaint() == "");
  RC_ASSERT(play.n_given_up() == 0);
}

/// Planted bugs that these two caught: a stale supply used after the kv manager's reset or error; a failed
/// step that is not tried again; a new scheduler beside the old one's pages; restarted actors that are not
/// introduced; a dropped request that nobody tells; a credit that is not given back.
RC_GTEST_PROP(ServingActors, AnswerAlikeInEveryInterleaving, ()) { play_acts(false); }

RC_GTEST_PROP(ServingActors, AnswerOrSayTryAgainWhoeverDies, ()) { play_acts(true); }

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

} // namespace
} // namespace souffleur
