// The draft model's actor under CAF's testing scheduler.
#include "actors/behaviors.hpp"
#include "tests/actors/fake_model.hpp"
#include "tests/actors/testing_config.hpp"

#include <caf/scheduler/test_coordinator.hpp>
#include <gtest/gtest.h>

namespace souffleur {
namespace {

using namespace testing;

/// One that drafts for a sequence, and somebody who asks.
class draft_model_stage {
public:
  explicit draft_model_stage(bool looks_ahead)
      : drafter_(system_.spawn(draft_model, draft_model_parts{model, fake_vocabulary, {}}, "lru",
                               draft_draw::coupled, looks_ahead)) {
    sampling_params greedy;
    greedy.temperature = 0;
    subject_.sampling = std::make_shared<const sampling_params>(greedy);
    scheduler_.run();
  }

  /// As the scheduler does, of the whole text.
  void ask(std::vector<token_id> tokens) {
    draft_demand demand;
    demand.wishes.push_back(
        {1, 0, std::move(tokens), 2, std::make_shared<const draft_subject>(subject_), {}});
    const auto shared = draft_demand_ptr{std::make_shared<const draft_demand>(std::move(demand))};
    system_.spawn([shared, this](caf::event_based_actor* asker) {
      compat::request(asker, drafter_, std::chrono::seconds{3600}, shared)
          .then([this](const draft_offer_ptr& offer) { offers.push_back(offer); });
    });
  }
  void run() { scheduler_.run(); }
  bool run_once() {
    const bool has_job = scheduler_.has_job();
    if (has_job)
      scheduler_.run_once();
    return has_job;
  }

  std::shared_ptr<fake_model> model = std::make_shared<fake_model>(40);
  std::vector<draft_offer_ptr> offers;

private:
  draft_subject subject_;
  testing_config configuration_;
  caf::actor_system system_{configuration_};
  caf::scheduler::test_coordinator& scheduler_ =
      dynamic_cast<caf::scheduler::test_coordinator&>(system_.scheduler());
  drafter_actor drafter_;
};

std::vector<token_id> with(std::vector<token_id> tokens, const std::vector<token_id>& more) {
  tokens.insert(tokens.end(), more.begin(), more.end());
  return tokens;
}

/// A text after which the fake model is sure enough to draft five tokens.
std::vector<token_id> drafted_text() {
  for (token_id first = 0;; ++first) {
    draft_model_stage probe{true};
    probe.ask({first, 5, 6});
    probe.run();
    if (probe.offers.at(0)->proposals[0].drafts.size() == 1 && probe.model->n_forwards == 5)
      return {first, 5, 6};
  }
}

TEST(DraftModel, WhileNobodyAsksItForeseesTheNextDraftAndThenRests) {
  const auto text = drafted_text();
  draft_model_stage stage{true};
  stage.ask(text);
  stage.run();
  EXPECT_EQ(stage.model->n_forwards, 5); // two tokens, the one behind them, and two more
  draft_model_stage apart{false};
  apart.ask(text);
  apart.run();
  EXPECT_EQ(apart.model->n_forwards, 2);
  const auto first = apart.offers.at(0)->proposals[0].drafts[0].tokens();
  EXPECT_EQ(stage.offers.at(0)->proposals[0].drafts[0].tokens(), first);

  draft_model_stage other{false};
  other.ask(with(text, first));
  other.run();
  const auto next = with(text, with(first, {other.offers.at(0)->proposals[0].drafts[0].tokens()[0]}));
  const int n_before = stage.model->n_forwards;
  stage.ask(next);
  stage.run();
  EXPECT_LE(stage.model->n_forwards, n_before + 3); // none for the draft itself
  apart.ask(next);
  apart.run();
  EXPECT_EQ(stage.offers.at(1)->proposals[0].drafts[0].tokens(),
            apart.offers.at(1)->proposals[0].drafts[0].tokens());
  EXPECT_GT(stage.offers[1]->pass.n_rows, 0); // so it is told that this cost little
}

TEST(DraftModel, WhoAsksMeanwhileWaitsForOnePassAtMost) {
  const auto text = drafted_text();
  draft_model_stage stage{true};
  stage.ask(text);
  while (stage.offers.empty() && stage.run_once()) {
  }
  const int n_before = stage.model->n_forwards;
  stage.ask(with(text, {7})); // something else than what was drafted, perhaps
  while (stage.offers.size() < 2 && stage.run_once()) {
  }
  EXPECT_LE(stage.model->n_forwards, n_before + 1 + 2);
}

} // namespace
} // namespace souffleur
