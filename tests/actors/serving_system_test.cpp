// The whole ensemble on real threads.
#include "actors/serving_system.hpp"
#include "tests/actors/answer_recorder.hpp"
#include "tests/actors/fake_model.hpp"
#include "tests/actors/fake_text.hpp"
#include "tests/engine/scratch_folder.hpp"

#include <gtest/gtest.h>

#include <future>
#include <sstream>
#include <thread>

namespace souffleur {
namespace {

using namespace souffleur::testing;
using recorder_ptr = std::shared_ptr<answer_recorder>;

struct running_system {
  explicit running_system(serving_config config = {})
      : model(std::make_shared<fake_model>(config.n_kv_pages)) {
    auto started = serving_system::start(
        config, {model, std::make_shared<fake_tokenizer>(), std::make_shared<fake_chat_template>()},
        [this](const std::string& why) { gave_up = why; });
    EXPECT_TRUE(started.ok());
    system = std::move(*started);
  }

  recorder_ptr ask(generation_request request) {
    auto recorder = std::make_shared<answer_recorder>();
    system->submit(std::move(request), sink_of(recorder));
    return recorder;
  }

  std::optional<kv_summary> kv() {
    std::promise<std::optional<kv_summary>> answer;
    system->ask_kv(5, [&](std::optional<kv_summary> summary) { answer.set_value(std::move(summary)); });
    return answer.get_future().get();
  }

  std::shared_ptr<fake_model> model;
  std::string gave_up;
  std::unique_ptr<serving_system> system;
};

generation_request request_of(request_id id, const std::string& text, int max_tokens = 40) {
  generation_request request;
  request.id = id;
  request.tenant = "tenant";
  request.prompt = text_prompt{text};
  request.sampling.max_tokens = max_tokens;
  request.max_tokens_given = true;
  request.sampling.seed = id * 77;
  request.seed_given = true;
  return request;
}

/// As the tokenizer encodes it.
std::vector<token_id> prompt_of(const generation_request& request) {
  auto tokens = fake_tokenizer{}.encode(std::get<text_prompt>(request.prompt).text, true);
  tokens.insert(tokens.begin(), fake_bos);
  return tokens;
}

/// The tokens that a client sees: the end token is not among them.
std::vector<token_id> expected_tokens(const generation_request& request) {
  auto tokens = expected_output(prompt_of(request), request.sampling);
  if (!tokens.empty() && tokens.back() == fake_end && !request.sampling.ignore_eos)
    tokens.pop_back();
  return tokens;
}

void expect_right(const generation_request& request, const recorded_answer& answer) {
  ASSERT_TRUE(answer.finished) << (answer.failed ? answer.failed->message : "no end");
  EXPECT_EQ(answer.tokens, expected_tokens(request));
  EXPECT_EQ(answer.n_ends, 1);
  EXPECT_EQ(answer.breach, "");
}

/// Lets a forward pass wait until the test opens it.
class gate {
public:
  void wait() {
    std::unique_lock lock{mutex_};
    ++n_waiting_;
    changed_.notify_all();
    changed_.wait(lock, [&] { return open_; });
  }
  void wait_for_visitor() {
    std::unique_lock lock{mutex_};
    changed_.wait(lock, [&] { return n_waiting_ > 0; });
  }
  void open() {
    std::lock_guard lock{mutex_};
    open_ = true;
    changed_.notify_all();
  }

private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int n_waiting_ = 0;
  bool open_ = false;
};

/// The value of the first sample of `name` whose labels contain `label`; -1 if there is none.
double metric(const std::string& text, const std::string& name, const std::string& label = "") {
  std::istringstream lines{text};
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with(name + "{") && line.find(label) != std::string::npos)
      return std::stod(line.substr(line.rfind(' ') + 1));
  return -1;
}

/// Polls, since the last messages of a generation are still under way when its client is told the end.
template <class Condition>
bool eventually(Condition condition) {
  for (int i = 0; i < 2000; ++i) {
    if (condition())
      return true;
    std::this_thread::sleep_for(std::chrono::milliseconds{5});
  }
  return false;
}

TEST(ServingSystem, AnswersLikeTheModelAlone) {
  running_system serving;
  EXPECT_TRUE(serving.system->ready());
  const auto request = request_of(1, "the prompt of the first test");
  const auto answer = serving.ask(request)->wait();
  expect_right(request, answer);
  ASSERT_TRUE(answer.accepted);
  EXPECT_EQ(answer.accepted->n_prompt_tokens, static_cast<int>(prompt_of(request).size()));
  EXPECT_EQ(answer.accepted->seed, request.sampling.seed);
  EXPECT_EQ(answer.text, fake_tokenizer{}.decode(answer.tokens));
  EXPECT_EQ(serving.model->complaint(), "");
}

TEST(ServingSystem, SaysWhatIsWrongWithItsConfiguration) {
  const auto complaint = [](auto change) {
    serving_config config;
    change(config);
    const auto started =
        serving_system::start(config,
                              {std::make_shared<fake_model>(2048), std::make_shared<fake_tokenizer>(),
                               std::make_shared<fake_chat_template>()},
                              nullptr);
    return started ? std::string{} : started.error();
  };
  EXPECT_EQ(complaint([](serving_config&) {}), "");
  EXPECT_NE(complaint([](serving_config& c) { c.scheduling_policy = "best"; }).find("fcfs"),
            std::string::npos);
  EXPECT_NE(complaint([](serving_config& c) { c.eviction_policy = "best"; }).find("lru"), std::string::npos);
  EXPECT_NE(complaint([](serving_config& c) { c.acceptance_policy = "best"; }).find("coupled"),
            std::string::npos);
  EXPECT_NE(complaint([](serving_config& c) { c.draft_policy = "best"; }).find("adaptive"),
            std::string::npos);
  EXPECT_NE(complaint([](serving_config& c) { c.cache_policy = "best"; }).find("exact"), std::string::npos);
  EXPECT_NE(complaint([](serving_config& c) { c.window_policy = "best"; }).find("full"), std::string::npos);
  EXPECT_NE(complaint([](serving_config& c) { c.drafter = "best"; }).find("prompt_lookup"),
            std::string::npos);
  EXPECT_NE(complaint([](serving_config& c) { c.prefill_chunk = 0; }).find("prefill_chunk"),
            std::string::npos);
  EXPECT_NE(complaint([](serving_config& c) { c.max_batch_tokens = 3; }).find("max_batch_tokens"),
            std::string::npos);
  EXPECT_NE(complaint([](serving_config& c) { c.n_kv_pages = 2049; }).find("kv.pages"), std::string::npos);
}

TEST(ServingSystem, AnswersManyAtOnceFromManyThreads) {
  serving_config config;
  config.n_kv_pages = 64; // too few for all: some are preempted
  config.max_running = 24;
  config.prefill_chunk = 16;
  running_system serving{config};
  constexpr int n_threads = 8, n_each = 8;
  std::vector<std::vector<recorder_ptr>> recorders(n_threads);
  std::vector<std::thread> threads;
  const auto request = [](int thread, int i) {
    const auto id = static_cast<request_id>(thread * n_each + i + 1);
    auto made = request_of(id, "what " + std::string(id % 20, 'x') + " the thread asks", 60);
    made.sampling.temperature = id % 3 == 0 ? 0 : 1;
    return made;
  };
  for (int t = 0; t < n_threads; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < n_each; ++i)
        recorders[t].push_back(serving.ask(request(t, i)));
    });
  for (auto& thread : threads)
    thread.join();
  for (int t = 0; t < n_threads; ++t)
    for (int i = 0; i < n_each; ++i)
      expect_right(request(t, i), recorders[t][i]->wait());
  EXPECT_EQ(serving.model->complaint(), "");
}

TEST(ServingSystem, CancellationEndsAGenerationEarlyAndFreesItsPages) {
  running_system serving;
  serving.model->before_forward = [] { std::this_thread::sleep_for(std::chrono::milliseconds{1}); };
  auto request = request_of(1, "a long story", 3000);
  request.sampling.ignore_eos = true;
  const auto recorder = serving.ask(request);
  recorder->wait_for_token();
  serving.system->cancel(1);
  const auto answer = recorder->wait();
  ASSERT_TRUE(answer.finished);
  EXPECT_EQ(answer.finished->reason, finish_reason::cancelled);
  EXPECT_LT(answer.tokens.size(), 3000U);
  const auto whole = expected_tokens(request);
  EXPECT_TRUE(std::equal(answer.tokens.begin(), answer.tokens.end(), whole.begin()));
  EXPECT_TRUE(eventually([&] {
    const auto text = serving.system->metrics();
    return metric(text, "souffleur_kv_pages", "owned") == 0 &&
           metric(text, "souffleur_kv_pages", "pinned") == 0;
  }));
}

TEST(ServingSystem, CancellationRightAfterSubmissionIsNotLost) {
  serving_config config;
  config.cache_policy = "exact"; // so that requests wait for the response cache
  running_system serving{config};
  for (request_id id = 1; id <= 200; ++id) {
    auto request = request_of(id, "never mind", 3000);
    request.sampling.ignore_eos = true;
    const auto recorder = serving.ask(request);
    serving.system->cancel(id);
    const auto answer = recorder->wait();
    ASSERT_TRUE(answer.finished);
    ASSERT_EQ(answer.finished->reason, finish_reason::cancelled) << id;
  }
  serving.system->cancel(200); // long over
  serving.system->cancel(999); // never heard of
  const auto request = request_of(201, "still there");
  expect_right(request, serving.ask(request)->wait());
}

TEST(ServingSystem, StoredAnswerIsTheSameAnswer) {
  serving_config config;
  config.cache_policy = "exact";
  running_system serving{config};
  auto request = request_of(1, "say it again", 500);
  const auto first = serving.ask(request)->wait();
  expect_right(request, first);
  ASSERT_EQ(first.finished->reason, finish_reason::stop);
  EXPECT_EQ(first.finished->usage.source, answer_source::model);
  // The answer is stored just after its end.
  recorded_answer again;
  ASSERT_TRUE(eventually([&] {
    ++request.id;
    again = serving.ask(request)->wait();
    return again.finished && again.finished->usage.source == answer_source::exact;
  }));
  EXPECT_EQ(again.tokens, first.tokens);
  EXPECT_EQ(again.text, first.text);
  EXPECT_EQ(again.finished->reason, first.finished->reason);
  EXPECT_EQ(again.finished->usage.n_output_tokens, first.finished->usage.n_output_tokens);
  EXPECT_EQ(again.breach, "");
  EXPECT_TRUE(eventually([&] {
    return metric(serving.system->metrics(), "souffleur_response_cache_hits_total", "exact") == 1;
  }));

  auto other = request;
  other.id = 1000;
  other.tenant = "another";
  EXPECT_EQ(serving.ask(other)->wait().finished->usage.source, answer_source::model);
  other.id = 1001;
  other.tenant = request.tenant;
  other.sampling.top_k = 5;
  EXPECT_EQ(serving.ask(other)->wait().finished->usage.source, answer_source::model);
}

TEST(ServingSystem, ALossyAnswerSaysSoAndIsNeitherStoredNorGivenFromTheStore) {
  serving_config config;
  config.cache_policy = "exact";
  running_system serving{config};
  auto plain = request_of(1, "say it again", 500);
  plain.sampling.stop = {"e"}; // only what ends by itself is stored
  request_id last_id = plain.id;
  const auto ask = [&](const char* acceptance) {
    auto request = plain;
    request.id = ++last_id;
    request.speculation.acceptance = acceptance;
    const auto answer = serving.ask(request)->wait();
    EXPECT_TRUE(answer.finished.has_value());
    return answer.finished.value_or(generation_finished{});
  };
  const auto lossy = ask("typical");
  EXPECT_EQ(lossy.reason, finish_reason::stop);
  EXPECT_TRUE(lossy.usage.lossy);
  const auto exact = ask("coupled");
  EXPECT_FALSE(exact.usage.lossy);
  EXPECT_EQ(exact.usage.source, answer_source::model);
  ASSERT_TRUE(eventually([&] { return ask("coupled").usage.source == answer_source::exact; }));
  // What came before the exact answer would be stored by now.
  const auto again = ask("typical");
  EXPECT_TRUE(again.usage.lossy);
  EXPECT_EQ(again.usage.source, answer_source::model);
}

TEST(ServingSystem, RefusesWhatIsBeyondTheAdmissionLimit) {
  serving_config config;
  config.max_running = 2;
  config.max_waiting = 3;
  gate door;
  running_system serving{config};
  serving.model->before_forward = [&] { door.wait(); };
  std::vector<recorder_ptr> taken;
  for (request_id id = 1; id <= 5; ++id)
    taken.push_back(serving.ask(request_of(id, "in time")));
  const auto refused = serving.ask(request_of(6, "too late"))->now(); // at once
  ASSERT_TRUE(refused.failed);
  EXPECT_EQ(refused.failed->status, 429);
  EXPECT_GT(refused.failed->retry_after_s, 0);
  door.open();
  for (request_id id = 1; id <= 5; ++id)
    expect_right(request_of(id, "in time"), taken[id - 1]->wait());
  const auto request = request_of(7, "later");
  expect_right(request, serving.ask(request)->wait());
}

/// Planted bugs that it caught: no limit by tenant; a tenant's credits never given back, or another's.
TEST(ServingSystem, RefusesATenantsRequestsBeyondItsOwnLimit) {
  serving_config config;
  config.max_running = 2;
  config.max_waiting = 8;
  config.max_waiting_per_tenant = 3;
  gate door;
  running_system serving{config};
  serving.model->before_forward = [&] { door.wait(); };
  request_id n_asked = 0;
  std::vector<std::pair<generation_request, recorder_ptr>> taken;
  const auto is_taken = [&](const std::string& tenant) {
    auto request = request_of(++n_asked, "of many");
    request.tenant = tenant;
    const auto recorder = serving.ask(request);
    const auto answer = recorder->now(); // a refusal comes at once
    if (!answer.failed) {
      taken.emplace_back(request, recorder);
      return true;
    }
    EXPECT_EQ(answer.failed->status, 429);
    EXPECT_EQ(answer.failed->code, tenant == "late" ? "overloaded" : "tenant_overloaded");
    EXPECT_GT(answer.failed->retry_after_s, 0);
    return false;
  };
  for (const auto* tenant : {"many", "others"}) {
    for (int i = 0; i < 5; ++i)
      EXPECT_TRUE(is_taken(tenant)) << i;
    if (std::string{tenant} == "many") {
      EXPECT_FALSE(is_taken(tenant));
    }
  }
  EXPECT_FALSE(is_taken("late")); // now the whole queue is full
  door.open();
  for (const auto& [request, recorder] : taken)
    expect_right(request, recorder->wait());
  for (int i = 0; i < 5; ++i)
    EXPECT_TRUE(is_taken("many")) << i;
  for (const auto& [request, recorder] : taken)
    recorder->wait();
}

TEST(ServingSystem, RequestEndsAtItsDeadlineWithWhatWasMade) {
  running_system serving;
  serving.model->before_forward = [] { std::this_thread::sleep_for(std::chrono::milliseconds{1}); };
  auto request = request_of(1, "no end", 3000);
  request.sampling.ignore_eos = true;
  request.timeout = std::chrono::milliseconds{50};
  const auto answer = serving.ask(request)->wait();
  ASSERT_TRUE(answer.finished);
  EXPECT_EQ(answer.finished->reason, finish_reason::deadline);
  EXPECT_GT(answer.tokens.size(), 0U);
  EXPECT_EQ(answer.finished->usage.n_output_tokens, static_cast<int>(answer.tokens.size()));
  EXPECT_EQ(answer.n_ends, 1);
}

TEST(ServingSystem, DeadlineHoldsWhileAStepDoesNotComeBack) {
  gate door;
  running_system serving;
  serving.model->before_forward = [&] { door.wait(); };
  auto request = request_of(1, "stuck");
  request.timeout = std::chrono::milliseconds{50};
  const auto recorder = serving.ask(request);
  const auto waiting = serving.ask(request_of(2, "patient"));
  const auto answer = recorder->wait();
  EXPECT_FALSE(waiting->ended());
  door.open();
  ASSERT_TRUE(answer.finished);
  EXPECT_EQ(answer.finished->reason, finish_reason::deadline);
  EXPECT_EQ(answer.finished->usage.n_output_tokens, 0);
  expect_right(request_of(2, "patient"), waiting->wait());
}

TEST(ServingSystem, TellsWhatItsKvMemoryHolds) {
  running_system serving;
  expect_right(request_of(1, "a prompt of more than one page of tokens"),
               serving.ask(request_of(1, "a prompt of more than one page of tokens"))->wait());
  ASSERT_TRUE(eventually([&] {
    const auto summary = serving.kv();
    return summary && summary->n_sequences == 0 && summary->occupancy.n_cached > 0;
  }));
  const auto summary = serving.kv();
  EXPECT_EQ(summary->n_namespaces, 1);
  EXPECT_EQ(summary->n_deepest_tokens, summary->occupancy.n_cached * page_tokens);
  EXPECT_EQ(summary->most_hit.size(), 1U);
}

TEST(ServingSystem, AnOrderlyEndWritesWhatIsWorthKeeping) {
  const scratch_folder folder;
  serving_config config;
  config.tier_folder = folder.path();
  config.tier_min_hits = 1;
  config.tier_step_bytes = 1;
  const auto request = request_of(1, std::string(100, 'x'), 1);
  {
    running_system serving{config};
    for (int i = 0; i < 2; ++i)
      expect_right(request, serving.ask(request)->wait());
  }
  running_system serving{config};
  const auto answer = serving.ask(request)->wait();
  expect_right(request, answer);
  EXPECT_EQ(answer.finished->usage.n_cached_tokens, 6 * page_tokens);
  EXPECT_NE(serving.system->metrics().find("souffleur_kv_tier_pages{model_name=\"default\"} 6"),
            std::string::npos);
  EXPECT_EQ(serving.kv()->tier->n_pages, 6U);
}

TEST(ServingSystem, AFolderInUseIsRefused) {
  const scratch_folder folder;
  serving_config config;
  config.tier_folder = folder.path();
  running_system serving{config};
  const auto second = serving_system::start(
      config, {serving.model, std::make_shared<fake_tokenizer>(), std::make_shared<fake_chat_template>()},
      {});
  ASSERT_FALSE(second.ok());
  EXPECT_NE(second.error().find("in use"), std::string::npos);
}

TEST(ServingSystem, BadRequestIsAnsweredAtOnce) {
  running_system serving;
  const auto answer = serving.ask(request_of(1, std::string(5000, 'a')))->wait();
  ASSERT_TRUE(answer.failed);
  EXPECT_EQ(answer.failed->status, 400);
  EXPECT_EQ(answer.failed->code, "context_length_exceeded");
}

/// Kills one actor again and again while clients ask. Everyone gets a right answer or one error that says
/// "again".
class KilledActor : public ::testing::TestWithParam<const char*> {};

TEST_P(KilledActor, CostsAtMostAnErrorThatMayBeRepeated) {
  serving_config config;
  config.n_kv_pages = 64;
  config.cache_policy = "exact";
  config.max_restarts = 100;
  running_system serving{config};
  serving.model->before_forward = [] { std::this_thread::sleep_for(std::chrono::microseconds{200}); };
  request_id id = 0;
  int n_right = 0;
  for (int kill = 0; kill < 6; ++kill) {
    std::vector<std::pair<generation_request, recorder_ptr>> asked;
    for (int i = 0; i < 12; ++i) {
      ++id;
      auto request = request_of(id, "the actor " + std::string(id % 9, 'y') + " dies", 50);
      asked.emplace_back(request, serving.ask(request));
    }
    if (kill % 2 == 0)
      asked.front().second->wait_for_token();
    serving.system->kill(GetParam());
    for (auto& [request, recorder] : asked) {
      const auto answer = recorder->wait();
      ASSERT_EQ(answer.n_ends, 1);
      EXPECT_EQ(answer.breach, "");
      if (answer.failed) {
        EXPECT_EQ(answer.failed->status, 503) << answer.failed->message;
        EXPECT_GT(answer.failed->retry_after_s, 0);
      } else {
        EXPECT_EQ(answer.tokens, expected_tokens(request));
        ++n_right;
      }
    }
    // Whoever asks afterwards is served.
    recorded_answer after;
    EXPECT_TRUE(eventually([&] {
      const auto request = request_of(++id, "and after");
      after = serving.ask(request)->wait();
      if (after.finished) {
        EXPECT_EQ(after.tokens, expected_tokens(request));
      }
      return after.finished.has_value();
    }));
    EXPECT_TRUE(eventually([&] { // the next one is to find its successor
      return metric(serving.system->metrics(), "souffleur_actor_restarts_total", GetParam()) == kill + 1 &&
             serving.system->health().parts_down.empty();
    }));
  }
  if (const std::string name = GetParam(); name != "scheduler" && name != "intake") {
    EXPECT_EQ(n_right, 72) << "only the scheduler and intake hold what cannot be made again";
  }
  EXPECT_EQ(serving.model->complaint(), "");
}

INSTANTIATE_TEST_SUITE_P(Each, KilledActor,
                         ::testing::Values("verifier", "kv_manager", "drafter", "response_cache", "metrics",
                                           "scheduler", "intake"),
                         [](const auto& info) { return std::string{info.param}; });

TEST(ServingSystem, GivesUpAfterTooManyRestartsAndSaysSo) {
  serving_config config;
  config.max_restarts = 2;
  gate door;
  running_system serving{config};
  serving.model->before_forward = [&] { door.wait(); };
  const auto recorder = serving.ask(request_of(1, "in the middle"));
  door.wait_for_visitor();
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(eventually([&] {
      serving.system->kill("kv_manager");
      return metric(serving.system->metrics(), "souffleur_actor_restarts_total", "kv_manager") > i;
    }));
  }
  EXPECT_TRUE(eventually([&] { return !serving.system->ready(); }));
  EXPECT_FALSE(serving.system->health().is_alive);
  EXPECT_NE(serving.system->health().why.find("kv_manager failed 3 times"), std::string::npos);
  EXPECT_TRUE(recorder->wait().failed);
  const auto late = serving.ask(request_of(2, "too late"))->wait();
  ASSERT_TRUE(late.failed);
  EXPECT_EQ(late.failed->status, 503);
  door.open();
}

TEST(ServingSystem, GoesOnWithoutAPartThatDiesTooOftenUnlessItIsVital) {
  serving_config config;
  config.max_restarts = 2;
  running_system serving{config};
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(eventually([&] {
      serving.system->kill("drafter");
      return metric(serving.system->metrics(), "souffleur_actor_restarts_total", "drafter") > i;
    }));
  }
  EXPECT_TRUE(
      eventually([&] { return serving.system->health().parts_down == std::vector<std::string>{"drafter"}; }));
  EXPECT_TRUE(serving.system->health().is_alive);
  EXPECT_TRUE(serving.system->health().is_ready);
  const auto request = request_of(1, "without drafts");
  expect_right(request, serving.ask(request)->wait());
  EXPECT_EQ(serving.gave_up, "");
}

/// Three of them kill the verifier more often than the budget allows, but are found guilty of it.
TEST(ServingSystem, APoisonedRequestIsRefusedAndTheOthersOfItsBatchAreAnswered) {
  serving_config config;
  config.max_restarts = 12;
  running_system serving{config};
  serving.model->is_poison = begins_with_poison;
  request_id id = 0;
  for (int round = 0; round < 3; ++round) {
    std::vector<std::pair<generation_request, recorder_ptr>> asked;
    for (int i = 0; i < 11; ++i) {
      const auto text = "the cup number " + std::string(id % 9, 'y');
      auto request = request_of(++id, i == 5 ? "!" + text : text, 50);
      asked.emplace_back(request, serving.ask(request));
    }
    for (std::size_t i = 0; i < asked.size(); ++i) {
      const auto answer = asked[i].second->wait();
      if (i != 5) {
        expect_right(asked[i].first, answer);
        continue;
      }
      ASSERT_TRUE(answer.failed);
      EXPECT_EQ(answer.failed->status, 500);
      EXPECT_EQ(answer.failed->code, "step_failed");
      EXPECT_NE(answer.failed->message.find("on this request alone"), std::string::npos);
      EXPECT_TRUE(answer.tokens.empty());
    }
  }
  EXPECT_GE(metric(serving.system->metrics(), "souffleur_actor_restarts_total", "verifier"), 9);
  EXPECT_TRUE(serving.system->health().is_alive);
  EXPECT_EQ(serving.gave_up, "");
}

TEST(ServingSystem, AForwardPassThatHangsIsNoticedAndRequestsEndAtTheirDeadlines) {
  serving_config config;
  config.step_timeout = std::chrono::milliseconds{40};
  gate door;
  running_system serving{config};
  serving.model->before_forward = [&] { door.wait(); };
  auto request = request_of(1, "stuck");
  request.timeout = std::chrono::milliseconds{200};
  const auto recorder = serving.ask(request);
  EXPECT_TRUE(eventually([&] { return !serving.system->health().is_alive; }));
  EXPECT_NE(serving.system->health().why.find("a forward pass has taken"), std::string::npos);
  const auto answer = recorder->wait();
  ASSERT_TRUE(answer.finished);
  EXPECT_EQ(answer.finished->reason, finish_reason::deadline);
  EXPECT_TRUE(
      eventually([&] { return metric(serving.system->metrics(), "souffleur_stuck_steps_total") >= 1; }));
  const auto patient = request_of(2, "patient");
  const auto later = serving.ask(patient);
  door.open();
  expect_right(patient, later->wait());
  EXPECT_TRUE(eventually([&] { return serving.system->health().is_alive; }));
}

TEST(ServingSystem, IsAliveButNotReadyWhileItDrains) {
  running_system serving;
  EXPECT_TRUE(serving.system->health().is_ready);
  serving.system->drain();
  EXPECT_TRUE(serving.system->health().is_alive);
  EXPECT_FALSE(serving.system->health().is_ready);
}

TEST(ServingSystem, AModelThatFailsOnceIsAskedAgain) {
  std::atomic<int> n_calls{0};
  running_system serving;
  auto* model = serving.model.get();
  serving.model->before_forward = [&n_calls, model] {
    if (++n_calls == 5) {
      model->forward_has_thrown();
      throw std::runtime_error("a bit fell over");
    }
  };
  const auto request = request_of(1, "try again");
  expect_right(request, serving.ask(request)->wait());
}

TEST(ServingSystem, AModelThatAlwaysFailsIsAnError) {
  std::atomic<bool> broken{true};
  running_system serving;
  auto* model = serving.model.get();
  serving.model->before_forward = [&broken, model] {
    if (broken) {
      model->forward_has_thrown();
      throw std::runtime_error("out of order");
    }
  };
  const auto answer = serving.ask(request_of(1, "in vain"))->wait();
  ASSERT_TRUE(answer.failed);
  EXPECT_EQ(answer.failed->status, 500);
  EXPECT_EQ(answer.n_ends, 1);
  broken = false;
  const auto request = request_of(2, "mended");
  expect_right(request, serving.ask(request)->wait());
}

TEST(ServingSystem, ShutdownEndsEveryGeneration) {
  for (int round = 0; round < 20; ++round) {
    std::vector<recorder_ptr> recorders;
    {
      running_system serving;
      for (request_id id = 1; id <= 20; ++id) {
        auto request = request_of(id, "until the curtain falls", 3000);
        request.sampling.ignore_eos = true;
        recorders.push_back(serving.ask(request));
      }
      if (round % 2 == 0)
        recorders.front()->wait_for_token();
    }
    for (const auto& recorder : recorders) {
      const auto answer = recorder->now();
      ASSERT_EQ(answer.n_ends, 1);
      EXPECT_EQ(answer.breach, "");
    }
  }
}

TEST(ServingSystem, MetricsHaveTheNamesThatOthersUse) {
  running_system serving;
  const auto request = request_of(1, "count me");
  const auto answer = serving.ask(request)->wait();
  ASSERT_TRUE(answer.finished);
  ASSERT_TRUE(eventually([&] {
    return metric(serving.system->metrics(), "vllm:request_success_total", "stop") +
               metric(serving.system->metrics(), "vllm:request_success_total", "length") >=
           0;
  }));
  ASSERT_TRUE(
      eventually([&] { return metric(serving.system->metrics(), "vllm:num_requests_running") == 0; }));
  const auto text = serving.system->metrics();
  EXPECT_EQ(metric(text, "vllm:generation_tokens_total"), answer.finished->usage.n_output_tokens);
  EXPECT_EQ(metric(text, "vllm:prompt_tokens_total"), answer.finished->usage.n_prompt_tokens);
  EXPECT_EQ(metric(text, "vllm:num_requests_waiting"), 0);
  EXPECT_EQ(metric(text, "vllm:time_to_first_token_seconds_count"), 1);
  EXPECT_EQ(metric(text, "vllm:e2e_request_latency_seconds_count"), 1);
  for (const auto* name :
       {"vllm:kv_cache_usage_perc", "vllm:prefix_cache_queries_total", "vllm:prefix_cache_hits_total",
        "vllm:spec_decode_num_draft_tokens_total", "vllm:request_queue_time_seconds_bucket",
        "vllm:request_time_per_output_token_seconds_bucket", "souffleur_step_seconds_bucket"})
    EXPECT_NE(text.find(name), std::string::npos) << name;
}

} // namespace
} // namespace souffleur
