// The embedder under CAF's testing scheduler, behind the supervisor: RapidCheck says who handles its next
// message, when somebody asks or leaves, and when the embedder is killed.
#include "actors/behaviors.hpp"
#include "tests/actors/fake_embedder.hpp"
#include "tests/actors/fake_model.hpp"
#include "tests/actors/fake_text.hpp"
#include "tests/actors/testing_config.hpp"

#include <caf/scheduler/test_coordinator.hpp>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

namespace souffleur {
namespace {

using namespace testing;

class embedder_stage {
public:
  embedder_stage() {
    ensemble parts;
    parts.config.max_restarts = 1'000'000;
    parts.model = std::make_shared<fake_model>(parts.config.n_kv_pages);
    parts.format = {std::make_shared<fake_tokenizer>(), std::make_shared<fake_chat_template>(), "fake", 4096};
    parts.metrics = metrics_;
    parts.embedder = embedder;
    parts.detached = false;
    parts.give_up = [](const std::string&) {};
    parts.vitals = vitals_;
    supervisor_ = system_.spawn(supervisor, std::move(parts));
    scheduler_.run();
  }
  ~embedder_stage() {
    shut_down();
    scheduler_.run();
  }

  std::shared_ptr<embedding_asker> ask(std::vector<std::string> texts) {
    auto asker = std::make_shared<embedding_asker>();
    asker->texts = std::move(texts);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::hours{1};
    compat::anon_send(supervisor_, demand_of(asker, credits, deadline));
    return asker;
  }
  void kill_embedder() { compat::anon_send(supervisor_, kill_order{"embedder"}); }
  void shut_down() {
    if (supervisor_)
      compat::anon_send(supervisor_, shutdown_order{});
    supervisor_ = nullptr;
  }
  /// Whoever `choice` says handles one message.
  void step(unsigned choice) {
    if (!scheduler_.has_job())
      return;
    auto& jobs = scheduler_.jobs;
    std::rotate(jobs.begin(), jobs.begin() + static_cast<std::ptrdiff_t>(choice % jobs.size()), jobs.end());
    scheduler_.run_once();
  }
  /// Whoever got something to do last handles one message.
  void step_newest() { step(static_cast<unsigned>(scheduler_.jobs.size()) - 1); }
  /// Until nobody has a message, and nobody is dead.
  void run() {
    for (scheduler_.run(); !vitals_->health(system_.clock().now()).parts_down.empty(); scheduler_.run())
      scheduler_.trigger_timeout();
  }
  std::string metrics() const { return metrics_->text(); }

  std::shared_ptr<fake_embedder> embedder = std::make_shared<fake_embedder>();
  std::shared_ptr<admission_credits> credits = std::make_shared<admission_credits>(1 << 20);

private:
  std::shared_ptr<serving_metrics> metrics_ = std::make_shared<serving_metrics>("test");
  std::shared_ptr<vital_signs> vitals_ = std::make_shared<vital_signs>(std::chrono::hours{1});
  testing_config config_;
  caf::actor_system system_{config_};
  caf::scheduler::test_coordinator& scheduler_ =
      dynamic_cast<caf::scheduler::test_coordinator&>(system_.scheduler());
  supervisor_actor supervisor_;
};

RC_GTEST_PROP(EmbedderActor, everybody_gets_one_end_whoever_runs_and_whenever_the_embedder_dies, ()) {
  std::vector<std::shared_ptr<embedding_asker>> askers;
  embedder_stage stage;
  for (int n = *rc::gen::inRange(0, 80); n > 0; --n)
    switch (*rc::gen::inRange(0, 8)) {
    case 0: {
      std::vector<std::string> texts;
      for (int n_texts = *rc::gen::inRange(1, 9); n_texts > 0; --n_texts)
        texts.push_back(std::string(*rc::gen::inRange<std::size_t>(0, 70), 'a'));
      askers.push_back(stage.ask(texts));
      break;
    }
    case 1:
      if (*rc::gen::inRange(0, 3) == 0)
        stage.kill_embedder();
      break;
    default:
      stage.step(*rc::gen::arbitrary<unsigned>());
    }
  stage.run();
  const auto last = stage.ask({"after all that"});
  stage.run();
  RC_ASSERT(last->is_answered_by(*stage.embedder));
  for (const auto& asker : askers)
    RC_ASSERT(asker->is_answered_by(*stage.embedder) || asker->has_failed_with(503));
  RC_ASSERT(stage.credits->in_flight() == 0);
}

TEST(EmbedderActor, what_is_in_the_mailbox_shares_a_round) {
  embedder_stage stage;
  std::vector<std::shared_ptr<embedding_asker>> askers;
  for (int i = 0; i < 10; ++i)
    askers.push_back(stage.ask({"one", "two"}));
  stage.run();
  for (const auto& asker : askers)
    EXPECT_TRUE(asker->is_answered_by(*stage.embedder));
  EXPECT_LE(stage.embedder->texts_of_rounds.size(), 2U);
  EXPECT_NE(stage.metrics().find("souffleur_embedded_texts_total{model_name=\"test\"} 20"), std::string::npos)
      << stage.metrics();
}

TEST(EmbedderActor, a_killed_embedder_is_started_again_and_who_it_forgot_is_told) {
  embedder_stage stage;
  const auto forgotten = stage.ask(std::vector<std::string>(50, std::string(60, 'x')));
  for (int i = 0; i < 3; ++i)
    stage.step(0);
  stage.kill_embedder();
  stage.step_newest(); // else rounds would go on until all is embedded
  stage.run();
  EXPECT_TRUE(forgotten->has_failed_with(503));
  EXPECT_EQ(stage.credits->in_flight(), 0);
  const auto next = stage.ask({"next"});
  stage.run();
  EXPECT_TRUE(next->is_answered_by(*stage.embedder));
  EXPECT_NE(stage.metrics().find("actor=\"embedder\""), std::string::npos);
}

TEST(EmbedderActor, who_waits_at_the_end_is_told) {
  embedder_stage stage;
  const auto waiting = stage.ask(std::vector<std::string>(50, std::string(60, 'x')));
  stage.step(0);
  stage.step(0);
  stage.shut_down();
  stage.step_newest();
  stage.run();
  EXPECT_TRUE(waiting->has_failed_with(503));
}

} // namespace
} // namespace souffleur
