// Souffleur's actors in somebody else's actor system, and generations as actors there.
#include "actors/generation_source.hpp"
#include "actors/hosted_serving.hpp"
#include "tests/actors/answer_recorder.hpp"
#include "tests/actors/fake_model.hpp"
#include "tests/actors/fake_text.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <thread>

namespace souffleur {
namespace {

using namespace souffleur::testing;

struct host_config : caf::actor_system_config {
  host_config() { set_serving_defaults(*this); }
};

struct host {
  host_config config;
  caf::actor_system system{config};

  std::shared_ptr<serving_system> start() {
    const serving_config serving;
    loaded_model loaded{std::make_shared<fake_model>(serving.n_kv_pages), std::make_shared<fake_tokenizer>(),
                        std::make_shared<fake_chat_template>()};
    auto started = start_serving_in(system, serving, std::move(loaded), {});
    EXPECT_TRUE(started.ok());
    return std::move(*started);
  }
};

generation_request request_of(const std::string& text, int max_tokens) {
  generation_request request;
  request.prompt = text_prompt{text};
  request.sampling.max_tokens = max_tokens;
  request.max_tokens_given = true;
  request.sampling.ignore_eos = true;
  return request;
}

/// Takes down what it is sent and grants nothing.
caf::behavior recording(caf::event_based_actor* self, std::shared_ptr<answer_recorder> recorder) {
  return {[self, recorder](const generation_update& update) {
    recorder->take(update.event);
    if (recorder->ended())
      self->quit();
  }};
}

/// A reader that takes all that comes.
std::shared_ptr<answer_recorder> asked(host& here, const std::weak_ptr<generation_service>& souffleur,
                                       generation_request request) {
  auto recorder = std::make_shared<answer_recorder>();
  spawn_generation(here.system, souffleur, std::move(request), here.system.spawn(recording, recorder),
                   std::nullopt);
  return recorder;
}

/// Whether one generation ended because nobody wanted it any longer.
bool one_was_cancelled(const serving_system& souffleur) {
  return souffleur.metrics().find("finished_reason=\"cancelled\"") != std::string::npos;
}

bool soon(const std::function<bool()>& holds) {
  for (int i = 0; i < 3000 && !holds(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds{10});
  return holds();
}

} // namespace

TEST(HostedServing, AnswersAnActorOfTheHostAndLeavesTheHostsActorsAlone) {
  host here;
  auto souffleur = here.start();
  const auto recorder = asked(here, souffleur, request_of("abc", 12));
  ASSERT_TRUE(soon([&] { return recorder->ended(); }));
  EXPECT_EQ(recorder->now().tokens.size(), 12U);
  EXPECT_EQ(recorder->now().breach, "");
  const auto other = std::make_shared<answer_recorder>();
  const auto bystander = here.system.spawn(recording, other);
  souffleur->stop();
  compat::anon_send(bystander, generation_update{1, generation_failed{}});
  EXPECT_TRUE(soon([&] { return other->ended(); })) << "it is still there";
}

TEST(HostedServing, ASourceSendsWhatWasGrantedAndNoMore) {
  host here;
  const auto souffleur = here.start();
  const auto recorder = std::make_shared<answer_recorder>();
  const auto reader = here.system.spawn(recording, recorder);
  const auto begun = spawn_generation(here.system, souffleur, request_of("abc", 20), reader, 3);
  ASSERT_TRUE(soon([&] { return souffleur->in_flight() == 0; })) << "the engine does not wait for the reader";
  ASSERT_TRUE(soon([&] { return recorder->now().tokens.size() == 3; }));
  compat::anon_send(begun.source, token_grant{4});
  ASSERT_TRUE(soon([&] { return recorder->now().tokens.size() == 7; }));
  EXPECT_FALSE(recorder->ended());
  compat::anon_send(begun.source, token_grant{100});
  ASSERT_TRUE(soon([&] { return recorder->ended(); }));
  EXPECT_EQ(recorder->now().tokens.size(), 20U);
}

TEST(HostedServing, AReaderThatDiesEndsItsGeneration) {
  host here;
  const auto souffleur = here.start();
  const auto reader = here.system.spawn(recording, std::make_shared<answer_recorder>());
  spawn_generation(here.system, souffleur, request_of("abc", 4000), reader, 3);
  ASSERT_TRUE(soon([&] { return souffleur->in_flight() == 1; }));
  compat::urgent_exit(reader, caf::exit_reason::kill);
  EXPECT_TRUE(soon([&] { return one_was_cancelled(*souffleur); }));
}

TEST(HostedServing, ASourceEndsAfterItsLastUpdateEvenIfItsReaderDoesNot) {
  host here;
  const auto souffleur = here.start();
  const auto reader = here.system.spawn(
      [](caf::event_based_actor*) -> caf::behavior { return {[](const generation_update&) {}}; });
  const auto begun = spawn_generation(here.system, souffleur, request_of("abc", 4), reader, 100);
  caf::scoped_actor { here.system } -> wait_for(begun.source);
}

TEST(HostedServing, ASourceThatIsKilledEndsItsGeneration) {
  host here;
  const auto souffleur = here.start();
  const auto reader = here.system.spawn(recording, std::make_shared<answer_recorder>());
  const auto begun = spawn_generation(here.system, souffleur, request_of("abc", 4000), reader, 3);
  ASSERT_TRUE(soon([&] { return souffleur->in_flight() == 1; }));
  compat::urgent_exit(begun.source, caf::exit_reason::kill);
  EXPECT_TRUE(soon([&] { return one_was_cancelled(*souffleur); }));
  compat::urgent_exit(reader, caf::exit_reason::kill);
}

TEST(HostedServing, AReaderThatWantsNoMoreSaysStop) {
  host here;
  const auto souffleur = here.start();
  const auto recorder = std::make_shared<answer_recorder>();
  const auto begun = spawn_generation(here.system, souffleur, request_of("abc", 4000),
                                      here.system.spawn(recording, recorder), std::nullopt);
  recorder->wait_for_token();
  compat::anon_send(begun.source, generation_stop{});
  ASSERT_TRUE(soon([&] { return recorder->ended(); }));
  EXPECT_EQ(recorder->now().finished->reason, finish_reason::cancelled);
}

TEST(HostedServing, AReaderHearsWhenAnActorOfSouffleurDiesAndMayAskAgain) {
  host here;
  const auto souffleur = here.start();
  const auto first = asked(here, souffleur, request_of("abc", 4000));
  first->wait_for_token();
  souffleur->kill("scheduler");
  ASSERT_TRUE(soon([&] { return first->ended(); }));
  EXPECT_EQ(first->now().failed->status, 503);
  const auto second = asked(here, souffleur, request_of("abc", 12));
  ASSERT_TRUE(soon([&] { return second->ended(); }));
  EXPECT_EQ(second->now().tokens.size(), 12U);
}

TEST(HostedServing, AReaderHearsWhenSouffleurStops) {
  host here;
  const auto souffleur = here.start();
  const auto recorder = asked(here, souffleur, request_of("abc", 4000));
  recorder->wait_for_token();
  souffleur->stop();
  ASSERT_TRUE(soon([&] { return recorder->ended(); }));
  EXPECT_EQ(recorder->now().failed->status, 503);
}

TEST(HostedServing, AfterItHasStoppedNoneOfItsActorsIsLeft) {
  host here;
  const auto n_before = here.system.registry().running();
  const auto souffleur = here.start();
  EXPECT_GT(here.system.registry().running(), n_before);
  for (const char* part : {"drafter", "verifier", "kv_manager"})
    souffleur->kill(part);
  ASSERT_TRUE(soon([&] {
    const auto text = souffleur->metrics();
    return std::ranges::all_of(std::array{"drafter", "verifier", "kv_manager"}, [&](const std::string& part) {
      return text.find("actor=\"" + part + "\"") != std::string::npos;
    });
  })) << "they are there again";
  souffleur->stop();
  EXPECT_EQ(here.system.registry().running(), n_before);
}

TEST(HostedServing, WhoeverAsksOneThatHasStoppedOrIsGoneIsRefused) {
  host here;
  auto souffleur = here.start();
  souffleur->stop();
  souffleur->stop(); // nothing more
  EXPECT_FALSE(souffleur->ready());
  const std::weak_ptr<generation_service> known{souffleur};
  const auto ask = [&] {
    const auto recorder = asked(here, known, request_of("abc", 4));
    EXPECT_TRUE(soon([&] { return recorder->ended(); }));
    return recorder->now();
  };
  EXPECT_EQ(ask().failed->status, 503);
  EXPECT_EQ(souffleur->in_flight(), 0);
  souffleur.reset();
  EXPECT_EQ(ask().failed->status, 503);
}

TEST(HostedServing, TwoOfThemShareAHost) {
  host here;
  const auto one = here.start();
  auto other = here.start();
  other->stop();
  other.reset();
  const auto recorder = asked(here, one, request_of("abc", 12));
  ASSERT_TRUE(soon([&] { return recorder->ended(); }));
  EXPECT_EQ(recorder->now().tokens.size(), 12U);
}

TEST(HostedServing, TheConfigurationNamesPoliciesThatTheHostRegistered) {
  class largest_first : public eviction_policy {
  public:
    std::string_view name() const override { return "largest_first"; }
    eviction_key key(const cached_node& node) const override {
      return {-static_cast<double>(node.n_pages), 0};
    }
  };
  host here;
  serving_config config;
  static int n_runs = 0; // what was registered stays so when the test is repeated
  const auto own = "hosts_own_" + std::to_string(++n_runs);
  config.eviction_policy = own;
  const auto try_it = [&] {
    return start_serving_in(here.system, config,
                            {std::make_shared<fake_model>(config.n_kv_pages),
                             std::make_shared<fake_tokenizer>(), std::make_shared<fake_chat_template>()},
                            {});
  };
  EXPECT_FALSE(try_it());
  register_eviction_policy(own, [] { return std::make_unique<largest_first>(); });
  EXPECT_TRUE(try_it());
  config.eviction_policy = "nobodys";
  EXPECT_NE(try_it().error().find(own), std::string::npos) << "it is among those that are known";
}

} // namespace souffleur
