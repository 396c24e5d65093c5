// The router's dispatcher under CAF's testing scheduler, with workers that compute, die and are late as
// RapidCheck chooses.
#include "actors/cluster/dispatcher.hpp"

#include "engine/kv/page_key.hpp"
#include "tests/actors/cluster/fake_workers.hpp"
#include "tests/actors/stage.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace souffleur {
namespace {

using namespace testing;
using namespace std::chrono_literals;

struct routed_client {
  std::shared_ptr<answer_recorder> recorder = std::make_shared<answer_recorder>();
  std::vector<token_id> expected; ///< without an end token
  std::string text;
  finish_reason reason = finish_reason::length;
  bool cancelled = false;
};

admitted_request request_of(request_id id, unsigned a, unsigned b) {
  admitted_request request;
  request.id = id;
  request.tenant = a % 2 == 0 ? "a" : "b";
  request.prompt = fake_tokenizer{}.encode(
      std::string("the souffleur whispers every line of every part").substr(0, 1 + a % 47), true);
  sampling_params sampling;
  sampling.temperature = b % 3 == 0 ? 0 : 1;
  sampling.max_tokens = 1 + static_cast<int>(b % 20);
  sampling.seed = b;
  request.sampling = std::make_shared<const sampling_params>(sampling);
  request.conversation = a % 5;
  return request;
}

class router_stage {
public:
  explicit router_stage(const cluster_config& config) : config_(config) {
    dispatcher_ =
        system_.spawn(dispatcher, config, std::make_shared<fake_tokenizer>(), network_, metrics_, vitals_);
    settle();
  }
  ~router_stage() {
    caf::anon_send_exit(dispatcher_, caf::exit_reason::user_shutdown);
    network_->listen({});
    dispatcher_ = nullptr;
    while (scheduler_.run() + scheduler_.trigger_timeouts() > 0) {
    }
  }

  routed_client& submit(unsigned a, unsigned b) {
    auto request = request_of(clients.size() + 1, a, b);
    auto& who = clients.emplace_back();
    who.expected = expected_output(request.prompt, *request.sampling);
    if (who.expected.back() == fake_end) {
      who.expected.pop_back();
      who.reason = finish_reason::stop;
    }
    for (const auto token : who.expected)
      who.text += fake_tokenizer{}.piece(token);
    request.reply = std::make_shared<reply_handle>(sink_of(who.recorder), nullptr, request.tenant);
    request.reply->accepted({static_cast<int>(request.prompt.size()), request.sampling->seed});
    request.arrival = now();
    request.deadline = now() + 1h;
    compat::anon_send(dispatcher_,
                      admission_ptr{std::make_shared<const admitted_request>(std::move(request))});
    return who;
  }
  void cancel(std::size_t which) {
    clients[which].cancelled = true;
    compat::anon_send(dispatcher_, cancellation{which + 1});
  }
  /// The dispatcher handles one message, or all.
  void step() {
    if (scheduler_.has_job())
      scheduler_.run_once();
  }
  void settle() { scheduler_.run(); }
  void hear(worker_id worker, const worker_status& status) {
    network_->workers.at(worker).outbox.emplace_back(status);
    network_->deliver(worker);
    settle();
  }
  void pass(std::chrono::milliseconds time) {
    scheduler_.advance_time(time);
    settle();
  }
  steady_time now() const { return system_.clock().now(); }
  const dispatch_core* core() const {
    const auto* state = state_in<dispatcher_state>(dispatcher_);
    return state ? state->core.get() : nullptr;
  }
  service_health health() const { return vitals_->health(now()); }

  void check() const {
    RC_ASSERT(core()->check_integrity() == "");
    RC_ASSERT(network_->breach == "");
    for (const auto& [id, one] : network_->workers)
      RC_ASSERT(one.breach == "");
    for (const auto& who : clients) {
      const auto answer = who.recorder->now();
      RC_ASSERT(answer.breach == "");
      RC_ASSERT(answer.tokens.size() <= who.expected.size());
      RC_ASSERT(std::equal(answer.tokens.begin(), answer.tokens.end(), who.expected.begin()));
      RC_ASSERT(who.text.starts_with(answer.text));
      RC_ASSERT(answer.n_ends <= 1);
      RC_ASSERT(
          (!answer.failed || answer.failed->code == "worker_lost" || answer.failed->code == "no_worker"));
      if (answer.finished && !who.cancelled) {
        RC_ASSERT(answer.finished->reason == who.reason);
        RC_ASSERT(answer.tokens == who.expected);
        RC_ASSERT(answer.text == who.text);
        RC_ASSERT(answer.finished->usage.n_output_tokens == static_cast<int>(who.expected.size()));
      }
    }
  }

  fake_network& network() { return *network_; }
  std::deque<routed_client> clients;

private:
  cluster_config config_;
  std::shared_ptr<fake_network> network_ = std::make_shared<fake_network>(config_.n_batches);
  std::shared_ptr<serving_metrics> metrics_ = std::make_shared<serving_metrics>("fake");
  std::shared_ptr<vital_signs> vitals_ = std::make_shared<vital_signs>(1s);
  testing_config caf_config_;
  mutable caf::actor_system system_{caf_config_};
  caf::scheduler::test_coordinator& scheduler_ =
      dynamic_cast<caf::scheduler::test_coordinator&>(system_.scheduler());
  dispatcher_actor dispatcher_;
};

worker_id any_worker(const fake_network& network, unsigned which) {
  return std::next(network.workers.begin(), static_cast<std::ptrdiff_t>(which % network.workers.size()))
      ->first;
}

/// All that is under way arrives, and all that is ordered is done.
void play_out(router_stage& stage) {
  auto& network = stage.network();
  if (network.workers.empty())
    network.join();
  for (int i = 0; i < 4000; ++i) {
    stage.settle();
    bool idle = stage.core()->empty();
    for (auto& [id, one] : network.workers) {
      while (!one.inbox.empty()) {
        one.handle(one.inbox.front());
        one.inbox.pop_front();
      }
      one.compute_prompt(static_cast<unsigned>(i), false);
      one.compute(static_cast<unsigned>(i), 3);
      one.tell_endings();
      one.flush();
      network.deliver(id);
      idle = idle && one.is_idle();
    }
    stage.check();
    if (idle)
      return;
  }
}

cluster_config any_config() {
  cluster_config config;
  config.policy = *rc::gen::element<std::string>("cache_aware", "round_robin", "consistent_hash", "sticky");
  config.n_batches = *rc::gen::inRange(1, 6);
  config.worker_wait = 1h;
  config.prefill_min_tokens = *rc::gen::inRange(1, 40);
  config.prefill_timeout = 1h;
  return config;
}

} // namespace

RC_GTEST_PROP(Dispatcher, StreamsGoOnWithTheVeryNextTokenWhicheverWorkersDie, ()) {
  const auto config = any_config();
  router_stage stage{config};
  auto& network = stage.network();
  for (int i = *rc::gen::inRange(10, 150); i > 0; --i) {
    const auto which = *rc::gen::inRange<unsigned>(0, 16);
    const int action = *rc::gen::weightedElement<int>(
        {{6, 0}, {1, 1}, {3, 2}, {8, 3}, {12, 4}, {4, 5}, {8, 6}, {8, 7}, {2, 8}, {1, 9}, {1, 10}, {8, 11}});
    if (network.workers.empty() && action > 2)
      continue;
    switch (action) {
    case 0:
      stage.submit(*rc::gen::inRange<unsigned>(0, 100), *rc::gen::inRange<unsigned>(0, 100));
      break;
    case 1:
      if (!stage.clients.empty())
        stage.cancel(which % stage.clients.size());
      break;
    case 2:
      if (network.workers.size() < 4) {
        const auto id = network.join(*rc::gen::element<std::string>("both", "prefill", "decode", "decode"));
        network.workers.at(id).refuses_pages = *rc::gen::weightedElement<bool>({{4, false}, {1, true}});
      }
      break;
    case 3: {
      auto& one = network.workers.at(any_worker(network, which));
      if (!one.inbox.empty()) {
        one.handle(one.inbox.front());
        one.inbox.pop_front();
      }
      break;
    }
    case 4:
      network.workers.at(any_worker(network, which)).compute(which, *rc::gen::inRange(1, 5));
      break;
    case 5:
      network.workers.at(any_worker(network, which)).tell_endings();
      break;
    case 6:
      network.workers.at(any_worker(network, which)).flush();
      break;
    case 7:
      network.deliver(any_worker(network, which));
      break;
    case 8:
      network.kill(any_worker(network, which), *rc::gen::inRange<std::size_t>(0, 3));
      break;
    case 9:
      network.deliver_late();
      break;
    case 10:
      network.workers.at(any_worker(network, which)).hand_over(which);
      break;
    default:
      network.workers.at(any_worker(network, which)).compute_prompt(which, *rc::gen::inRange(0, 8) == 0);
    }
    if (*rc::gen::arbitrary<bool>())
      stage.step();
    stage.check();
    for (const auto& [id, one] : network.workers)
      RC_ASSERT((one.n_credits() >= 0 && one.n_credits() <= config.n_batches));
  }
  network.deliver_late();
  play_out(stage);
  RC_ASSERT(stage.core()->empty());
  for (const auto& who : stage.clients)
    RC_ASSERT(who.recorder->now().n_ends == 1);
}

TEST(Dispatcher, WithoutAWorkerAStreamWaitsForOneAndThenGetsAnErrorThatSaysTryAgain) {
  cluster_config config;
  config.worker_wait = 5s;
  router_stage stage{config};
  auto& late = stage.submit(3, 4);
  stage.settle();
  stage.pass(4s);
  EXPECT_FALSE(late.recorder->ended());
  EXPECT_FALSE(stage.health().is_ready);
  auto& early = stage.submit(5, 6);
  stage.settle();
  stage.pass(1500ms);
  ASSERT_TRUE(late.recorder->now().failed.has_value());
  EXPECT_EQ(late.recorder->now().failed->status, 503);
  EXPECT_EQ(late.recorder->now().failed->code, "no_worker");
  EXPECT_GT(late.recorder->now().failed->retry_after_s, 0);
  stage.network().join();
  play_out(stage);
  EXPECT_EQ(early.recorder->now().tokens, early.expected);
  EXPECT_TRUE(stage.health().is_ready);
}

TEST(Dispatcher, ARequestThatTakesEveryWorkerWithItIsGivenUp) {
  router_stage stage{{}};
  auto& who = stage.submit(3, 4);
  stage.settle();
  for (int i = 0; i < 5; ++i) {
    const auto id = stage.network().join();
    stage.settle();
    EXPECT_FALSE(who.recorder->ended());
    stage.network().kill(id, 0);
    stage.settle();
  }
  stage.settle();
  ASSERT_TRUE(who.recorder->now().failed.has_value());
  EXPECT_EQ(who.recorder->now().failed->code, "worker_lost");
}

TEST(Dispatcher, ADrainingWorkerGetsNothingNew) {
  router_stage stage{{}};
  const auto leaving = stage.network().join();
  const auto staying = stage.network().join();
  worker_status status;
  status.is_draining = true;
  stage.hear(leaving, status);
  for (unsigned i = 0; i < 6; ++i)
    stage.submit(i, i);
  stage.settle();
  EXPECT_TRUE(stage.network().workers.at(leaving).inbox.empty());
  EXPECT_EQ(stage.network().workers.at(staying).inbox.size(), 6U);
}

namespace {

/// A router with a worker that decodes and one that computes its long prompts.
struct prefill_stage {
  explicit prefill_stage(const std::string& serves = "decode", const std::string& computes = "") {
    stage.settle();
    decoder = stage.network().join(serves);
    prefiller = stage.network().join("prefill", computes);
    stage.settle();
    long_one = &stage.submit(46, 4);
    stage.settle();
  }
  fake_worker& at(worker_id id) { return stage.network().workers.at(id); }
  template <class Message>
  static int n_of(const fake_worker& worker) {
    return static_cast<int>(std::ranges::count_if(
        worker.inbox, [](const auto& one) { return std::holds_alternative<Message>(one); }));
  }
  int n_orders() { return n_of<stream_order>(at(decoder)); }
  int n_prefills() { return n_of<prefill_order>(at(prefiller)); }
  /// All that was ordered is done, and all that was said is heard.
  void go_on() {
    for (auto& [id, one] : stage.network().workers) {
      for (; !one.inbox.empty(); one.inbox.pop_front())
        one.handle(one.inbox.front());
      one.compute_prompt(0, false);
      while (!one.outbox.empty())
        stage.network().deliver(id);
    }
    stage.settle();
  }
  void expect_right_answer() {
    play_out(stage);
    EXPECT_EQ(long_one->recorder->now().tokens, long_one->expected);
  }

  router_stage stage{[] {
    cluster_config config;
    config.prefill_min_tokens = 32;
    config.prefill_timeout = 5s;
    return config;
  }()};
  worker_id decoder = 0;
  worker_id prefiller = 0;
  routed_client* long_one = nullptr;
};

} // namespace

TEST(Dispatcher, ALongPromptIsComputedByAnotherWorkerAndDecodedWhenItsPagesAreThere) {
  prefill_stage pair;
  EXPECT_EQ(pair.n_orders(), 0);
  ASSERT_EQ(pair.n_prefills(), 1);
  pair.go_on(); // the first page
  pair.go_on(); // the second one arrives
  EXPECT_EQ(pair.n_orders(), 0);
  for (int i = 0; i < 3 && pair.n_orders() == 0; ++i)
    pair.go_on();
  EXPECT_EQ(pair.at(pair.decoder).n_pages, 2);
  EXPECT_EQ(pair.n_orders(), 1);
  pair.expect_right_answer();
  // The second turn: what the worker that decodes has by now it is not sent again.
  auto& again = pair.stage.submit(46, 5);
  pair.stage.settle();
  EXPECT_EQ(pair.n_prefills(), 0);
  play_out(pair.stage);
  EXPECT_EQ(again.recorder->now().tokens, again.expected);
}

TEST(Dispatcher, WhatAWorkerSaysThatItNoLongerHasIsShippedAgain) {
  prefill_stage pair;
  pair.expect_right_answer();
  pair.stage.submit(46, 5);
  pair.stage.settle();
  EXPECT_EQ(pair.n_prefills(), 0);
  play_out(pair.stage);
  worker_status evicted;
  evicted.removed =
      page_hashes("a", fake_tokenizer{}.encode("the souffleur whispers every line of every part", true));
  pair.stage.hear(pair.decoder, evicted);
  pair.stage.submit(46, 6);
  pair.stage.settle();
  EXPECT_EQ(pair.n_prefills(), 1);
  play_out(pair.stage);
  evicted.added = std::exchange(evicted.removed, {});
  pair.stage.hear(pair.decoder, evicted);
  pair.stage.submit(46, 7);
  pair.stage.settle();
  EXPECT_EQ(pair.n_prefills(), 0);
}

TEST(Dispatcher, AShortPromptIsComputedWhereItDecodes) {
  prefill_stage pair;
  pair.expect_right_answer();
  pair.stage.submit(5, 4);
  pair.stage.settle();
  EXPECT_EQ(pair.n_prefills(), 0);
  EXPECT_EQ(pair.n_orders(), 1);
}

TEST(Dispatcher, APrefillWorkerThatIsLostSilentOrRefusedCostsNothingButTime) {
  {
    prefill_stage pair;
    pair.go_on();
    pair.stage.network().kill(pair.prefiller, 0);
    pair.stage.settle();
    EXPECT_EQ(pair.n_orders(), 1);
    pair.expect_right_answer();
  }
  {
    prefill_stage pair;
    pair.stage.pass(4s);
    EXPECT_EQ(pair.n_orders(), 0);
    pair.stage.pass(1500ms);
    EXPECT_EQ(pair.n_orders(), 1);
    EXPECT_EQ(prefill_stage::n_of<stream_cancel>(pair.at(pair.prefiller)), 1);
    pair.expect_right_answer();
  }
  {
    prefill_stage pair;
    pair.at(pair.decoder).refuses_pages = true;
    for (int i = 0; i < 3 && pair.n_orders() == 0; ++i)
      pair.go_on();
    EXPECT_EQ(pair.n_orders(), 1);
    EXPECT_EQ(prefill_stage::n_of<stream_cancel>(pair.at(pair.prefiller)), 1);
    pair.expect_right_answer();
  }
  {
    prefill_stage pair;
    pair.stage.network().kill(pair.decoder, 0);
    pair.stage.settle();
    EXPECT_EQ(prefill_stage::n_of<stream_order>(pair.at(pair.prefiller)), 1)
        << "better slowly than not at all";
    pair.expect_right_answer();
  }
}

TEST(Dispatcher, WorkersThatComputeOtherwiseOrServeBothAreNotSentPages) {
  prefill_stage otherwise{"decode", "another format"};
  EXPECT_EQ(otherwise.n_prefills(), 0);
  EXPECT_EQ(otherwise.n_orders(), 1);
  prefill_stage both{"both"};
  EXPECT_EQ(both.n_prefills(), 0);
  EXPECT_EQ(both.n_orders(), 1);
}

} // namespace souffleur
