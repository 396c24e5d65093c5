#include "examples/cluster_simulator/cluster_simulation.hpp"
#include "examples/cluster_simulator/report.hpp"
#include "examples/cluster_simulator/shared_machine.hpp"
#include "examples/load/seeded_random.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

using namespace souffleur;
using namespace souffleur::cluster_simulation;

namespace {

/// Dialogues of one turn with texts of one length, no two of which begin alike.
class equal_questions final : public load::workload {
public:
  load::dialogue at(std::uint64_t i) const override { return {"", {{std::to_string(1'000'000 + i), -1, 0}}}; }
};

cluster_settings one_worker() {
  cluster_settings settings;
  settings.worker.scheduling_policy = "fcfs";
  settings.worker.prefix_cache = false;
  settings.costs.decode = {{1, 2000}, {32, 20'000}};
  settings.costs.prefill = {{1, 2000}, {256, 50'000}};
  settings.costs.attention_us = 0.5;
  settings.costs.prefill_attention_us = 0.1;
  return settings;
}

offered_load poisson(double rate, int n_requests, std::uint64_t seed = 3) {
  offered_load load;
  load.arrivals = [=] { return load::make_arrivals({rate, rate, 0, 1, seed}); };
  load.n_requests = n_requests;
  load.n_output_tokens = 4;
  return load;
}

std::unique_ptr<load::workload> workload_of(const std::string& name, std::uint64_t seed) {
  load::workload_options options;
  options.seed = seed;
  options.prompt_words = 60;
  return std::move(*load::make_workload(name, options));
}

double seconds(nanoseconds ns) { return static_cast<double>(ns) / 1e9; }

/// Each text is asked twice in succession; the texts have all lengths.
class repeated_questions final : public load::workload {
public:
  load::dialogue at(std::uint64_t i) const override {
    return {"", {{std::to_string(1000 + i / 2) + std::string(i / 2, 'x'), -1, 0}}};
  }
};

/// Dialogues of two turns, no two of which begin alike; the first questions have all lengths.
class two_turns final : public load::workload {
public:
  load::dialogue at(std::uint64_t i) const override {
    return {std::to_string(1000 + i), {{std::string(4 * i, 'x'), -1, 0}, {"And then?", 0, 0}}};
  }
};

} // namespace

TEST(ClusterSimulation, WhereNobodyElseIsTheFirstTokenTakesThePromptAndTheWay) {
  const auto settings = one_worker();
  const auto outcome = simulate(settings, equal_questions{}, poisson(0.001, 5), {});
  const step_model costs{settings.costs};
  for (const auto& request : outcome.requests) {
    const int n = request.n_prompt_tokens;
    const double us = costs.us({0, n, 0, std::int64_t{n} * (n / 2)}) + settings.costs.request_us +
                      2 * settings.client_network_us;
    EXPECT_NEAR(static_cast<double>(request.first - request.intended) / 1000, us, 0.01);
    double rest = 0;
    for (int i = 1; i < 4; ++i)
      rest += costs.us({1, 0, n + i, 0});
    EXPECT_NEAR(static_cast<double>(request.ended - request.first) / 1000, rest, 0.01);
  }
}

TEST(ClusterSimulation, ARouterAddsItsWay) {
  auto settings = one_worker();
  const auto near = simulate(settings, equal_questions{}, poisson(0.001, 4), {});
  settings.n_workers = 2;
  settings.worker_network_us = 700;
  const auto far = simulate(settings, equal_questions{}, poisson(0.001, 4), {});
  for (std::size_t i = 0; i < 4; ++i)
    EXPECT_NEAR(static_cast<double>((far.requests[i].first - far.requests[i].intended) -
                                    (near.requests[i].first - near.requests[i].intended)),
                2 * 700e3, 2);
}

TEST(ClusterSimulation, WorkersThatShareOneCoreDoTogetherWhatOneDoes) {
  auto settings = one_worker();
  settings.routing_policy = "round_robin";
  settings.worker.max_running = 1;
  settings.client_network_us = settings.worker_network_us = 0;
  offered_load load;
  load.n_requests = 200;
  load.n_output_tokens = 4;
  const auto alone = simulate(settings, equal_questions{}, load, {});
  settings.n_workers = load.n_clients = 2;
  const auto free = simulate(settings, equal_questions{}, load, {});
  settings.costs.crowding = {1, 2};
  const auto shared = simulate(settings, equal_questions{}, load, {});
  EXPECT_NEAR(seconds(free.duration) / seconds(alone.duration), 0.5, 0.02);
  EXPECT_NEAR(seconds(shared.duration) / seconds(alone.duration), 1, 0.02);
}

/// Pollaczek and Khinchine: with service S and utilisation r, one waits r S / (2 (1 - r)) on the mean.
TEST(ClusterSimulation, AQueueOfOneServerIsAsItsFormulaSays) {
  auto settings = one_worker();
  settings.worker.max_running = 1;
  settings.costs.request_us = settings.client_network_us = 0;
  const auto idle = simulate(settings, equal_questions{}, poisson(0.001, 1), {});
  const double service = seconds(idle.requests[0].ended - idle.requests[0].intended);
  for (const double busy : {0.3, 0.6, 0.8}) {
    const auto outcome = simulate(settings, equal_questions{}, poisson(busy / service, 40'000), {});
    double sum = 0;
    for (const auto& request : outcome.requests)
      sum += seconds(request.ended - request.intended) - service;
    const double mean = sum / static_cast<double>(outcome.requests.size());
    EXPECT_NEAR(mean / (busy * service / (2 * (1 - busy))), 1, 0.1) << busy;
    EXPECT_NEAR(seconds(outcome.busy[0]) / seconds(outcome.duration), busy, 0.02);
  }
}

TEST(ClusterSimulation, EveryRequestIsAnsweredOnceAndNothingComesBeforeItsCause) {
  for (const char* policy : {"round_robin", "least_loaded", "cache_aware", "consistent_hash", "sticky"})
    for (const char* workload : {"chat", "multi_turn", "shared_prefix", "agent_tree"})
      for (const std::uint64_t seed : {1U, 2U}) {
        cluster_settings settings;
        settings.n_workers = static_cast<int>(1 + seed * 2);
        settings.routing_policy = policy;
        settings.worker.n_kv_pages = 64;
        settings.worker.max_running = 4;
        int n_expected = 0;
        const auto what = workload_of(workload, seed);
        for (std::uint64_t i = 0; n_expected < 60; ++i)
          n_expected += static_cast<int>(what->at(i).turns.size());
        for (const bool closed : {false, true}) {
          auto load = poisson(20, 60, seed);
          if (closed) {
            load.arrivals = nullptr;
            load.n_clients = 7;
          }
          const auto outcome = simulate(settings, *what, load, {});
          ASSERT_EQ(outcome.requests.size(), static_cast<std::size_t>(n_expected))
              << policy << ' ' << workload;
          for (const auto& request : outcome.requests) {
            EXPECT_LT(request.intended, request.first);
            EXPECT_LT(request.first, request.ended);
            EXPECT_LT(request.worker, outcome.busy.size());
            EXPECT_GE(request.n_cached_tokens, 0);
            EXPECT_LT(request.n_cached_tokens, request.n_prompt_tokens);
          }
          for (const auto busy : outcome.busy)
            EXPECT_LE(busy, outcome.duration);
        }
      }
}

TEST(ClusterSimulation, AClosedLoopHasSoManyConversationsAtATime) {
  offered_load load;
  load.n_clients = 5;
  load.n_requests = 200;
  const auto conversations = workload_of("multi_turn", 1);
  const equal_questions questions;
  for (const load::workload* what :
       std::initializer_list<const load::workload*>{conversations.get(), &questions}) {
    const auto outcome = simulate(one_worker(), *what, load, {});
    for (const auto& at : outcome.requests)
      EXPECT_LE(std::ranges::count_if(outcome.requests,
                                      [&](const auto& other) {
                                        return other.intended <= at.intended && at.intended < other.ended;
                                      }),
                5);
  }
}

TEST(ClusterSimulation, WhatIsCachedIsNotComputedAgainButForTheLastToken) {
  auto settings = one_worker();
  settings.worker.prefix_cache = true;
  const auto outcome = simulate(settings, repeated_questions{}, poisson(0.001, 200), {});
  const auto wait_of = [&](std::size_t i) {
    return outcome.requests[i].first - outcome.requests[i].intended;
  };
  for (std::size_t i = 1; i < outcome.requests.size(); i += 2) {
    const auto& again = outcome.requests[i];
    ASSERT_GT(again.first, again.intended);
    EXPECT_GE(again.n_cached_tokens, again.n_prompt_tokens - transcript::page_tokens);
    EXPECT_LT(again.n_cached_tokens, again.n_prompt_tokens);
    EXPECT_LT(wait_of(i), outcome.requests[i - 1].n_cached_tokens < again.n_cached_tokens
                              ? wait_of(i - 1)
                              : wait_of(i - 1) + 1);
  }
}

TEST(ClusterSimulation, ASecondTurnFindsTheWholePagesOfTheFirstAndOfItsAnswerButForTheLastToken) {
  auto settings = one_worker();
  settings.worker.prefix_cache = true;
  const auto load = poisson(0.001, 100);
  std::map<std::uint64_t, int> computed; ///< tokens of a dialogue's first turn
  for (const auto& request : simulate(settings, two_turns{}, load, {}).requests)
    if (request.turn == 0) {
      computed[request.dialogue] = request.n_prompt_tokens + load.n_output_tokens - 1;
    } else {
      const int n_whole = computed.at(request.dialogue) / transcript::page_tokens * transcript::page_tokens;
      EXPECT_EQ(request.n_cached_tokens, n_whole);
    }
}

TEST(ClusterSimulation, ASeedHasOneCourse) {
  cluster_settings settings;
  settings.n_workers = 3;
  const auto course = [&](std::uint64_t seed) {
    std::vector<nanoseconds> times;
    for (const auto& request :
         simulate(settings, *workload_of("multi_turn", seed), poisson(5, 80, seed), {}).requests)
      times.push_back(request.ended);
    return times;
  };
  EXPECT_EQ(course(4), course(4));
  EXPECT_NE(course(4), course(5));
}

TEST(ClusterSimulation, ConversationsFindTheirPagesWhereTheRouterLooksForThem) {
  cluster_settings settings;
  settings.n_workers = 8;
  std::map<std::string, double> hits;
  const auto load = poisson(8, 800);
  for (const char* policy : {"round_robin", "cache_aware", "sticky"}) {
    settings.routing_policy = policy;
    hits[policy] =
        figures_of(settings, load, simulate(settings, *workload_of("multi_turn", 1), load, {})).hit_rate;
  }
  EXPECT_GT(hits["cache_aware"], 0.15 + hits["round_robin"]);
  EXPECT_GT(hits["sticky"], 0.15 + hits["round_robin"]);
  settings.worker.prefix_cache = false;
  EXPECT_EQ(figures_of(settings, load, simulate(settings, *workload_of("multi_turn", 1), load, {})).hit_rate,
            0);
}

/// 500 conversations about few subjects.
TEST(ClusterSimulation, WhereTheSameWordsGetTheSameAnswerMoreIsCached) {
  cluster_settings settings;
  const auto load = poisson(1, 500);
  const auto hits = [&] {
    return figures_of(settings, load, simulate(settings, *workload_of("multi_turn", 1), load, {})).hit_rate;
  };
  const double own = hits();
  settings.equal_answers = true;
  EXPECT_GT(hits(), own + 0.02);
}

TEST(ClusterSimulation, StepsThatAreNotAllAsLongTakeTheSameOnTheMean) {
  auto settings = one_worker();
  offered_load load;
  load.n_requests = 4000;
  load.n_output_tokens = 4;
  const auto even = simulate(settings, equal_questions{}, load, {});
  settings.costs.decode_spread = settings.costs.prefill_spread = {0.5, 0.5, 2};
  const auto uneven = simulate(settings, equal_questions{}, load, {});
  EXPECT_NEAR(seconds(uneven.duration) / seconds(even.duration), 1, 0.03);
  const auto wait_of = [](const cluster_outcome& of, std::size_t i) {
    return of.requests[i].first - of.requests[i].intended;
  };
  EXPECT_EQ(wait_of(even, 1), wait_of(even, 2));
  std::set<nanoseconds> waits;
  for (std::size_t i = 0; i < 50; ++i)
    waits.insert(wait_of(uneven, i));
  EXPECT_EQ(waits.size(), 2U);
}

TEST(ClusterSimulation, StepsWithPromptsHaveASpreadOfTheirOwn) {
  auto settings = one_worker();
  offered_load load;
  load.n_requests = 50;
  load.n_output_tokens = 2;
  const auto n_different = [&](auto time_of) {
    std::set<nanoseconds> times;
    const auto outcome = simulate(settings, equal_questions{}, load, {});
    for (const auto& request : outcome.requests)
      times.insert(time_of(request));
    return times.size();
  };
  const auto first = [](const request_outcome& one) { return one.first - one.intended; };
  const auto second = [](const request_outcome& one) { return one.ended - one.first; };
  settings.costs.prefill_spread = {1, 2};
  EXPECT_EQ(n_different(first), 2U);
  EXPECT_EQ(n_different(second), 1U);
  settings.costs.prefill_spread = {};
  settings.costs.decode_spread = {1, 2, 4};
  EXPECT_EQ(n_different(first), 1U);
  EXPECT_EQ(n_different(second), 3U);
}

/// Steps begin at random; each gets all the work that it asked for, at the speed that there is at any time.
TEST(SharedMachine, EachStepGetsItsWorkAtTheSpeedThatTheOthersLeave) {
  load::seeded_random random{1, 2};
  const std::vector<double> crowding{1, 1.2, 2};
  constexpr std::size_t n_workers = 4;
  for (int run = 0; run < 100; ++run) {
    shared_machine machine{crowding, n_workers};
    std::vector<nanoseconds> due(n_workers, -1); ///< none: it has no step
    std::vector<nanoseconds> begun(n_workers);
    std::vector<double> left(n_workers);
    const auto hear = [&](std::size_t worker, nanoseconds at) { due[worker] = at; };
    for (nanoseconds now = 0; now < 20'000; ++now) {
      for (std::size_t w = 0; w < n_workers; ++w) {
        ASSERT_EQ(machine.is_over(w, now), due[w] == now);
        if (due[w] == now) {
          due[w] = -1;
          EXPECT_EQ(machine.end(w, now, hear), now - begun[w]);
          ASSERT_NEAR(left[w], 0, 2);
        } else if (due[w] < 0 && random.below(300) == 0) {
          left[w] = 1 + static_cast<double>(random.below(1000));
          begun[w] = now;
          machine.begin(w, static_cast<nanoseconds>(left[w]), now, hear);
        }
      }
      const auto n = static_cast<std::size_t>(std::ranges::count_if(due, [](auto at) { return at >= 0; }));
      for (std::size_t w = 0; w < n_workers; ++w)
        if (due[w] >= 0)
          left[w] -= 1 / crowding[std::min(n, crowding.size()) - 1];
    }
  }
}

TEST(PageShelf, KeepsWhatWasUsedLastAndOfAPrefixItsBeginning) {
  page_shelf shelf{6};
  std::vector<page_hash> a(4 * transcript::marks_a_page);
  std::iota(a.begin(), a.end(), 1);
  std::vector<page_hash> b(a.size() + 1); // the last page is not whole
  std::iota(b.begin(), b.end(), 101);
  shelf.insert(a);
  shelf.insert(b);
  EXPECT_EQ(shelf.n_pages(), 6U);
  EXPECT_EQ(shelf.n_matched(b), 4 * transcript::marks_a_page);
  EXPECT_EQ(shelf.n_matched(a), 2 * transcript::marks_a_page);
  shelf.insert(a);
  EXPECT_EQ(shelf.n_matched(a), a.size());
  EXPECT_EQ(shelf.n_matched(b), 2 * transcript::marks_a_page);
  EXPECT_EQ(shelf.n_matched(std::span{a}.first(5)), 5U);
}

TEST(Transcript, EqualBeginningsHaveEqualNamesAndOnlyThose) {
  load::seeded_random random{1, 1};
  for (int i = 0; i < 200; ++i) {
    transcript common{{}, "system"};
    common.ask(std::string(random.below(400), 'a'));
    common.answer(0, 5);
    auto left = common;
    auto right = common;
    left.ask("left " + std::string(300, 'b'));
    right.ask("right " + std::string(300, 'b'));
    const auto n = common.marks().size();
    ASSERT_TRUE(std::equal(common.marks().begin(), common.marks().end(), left.marks().begin()));
    ASSERT_TRUE(std::equal(common.marks().begin(), common.marks().end(), right.marks().begin()));
    // What is between two answers is told apart from their first words on, a template's tokens behind them.
    const auto told_apart =
        n + static_cast<std::size_t>(2 + 3 + 2 + transcript::mark_tokens) / transcript::mark_tokens;
    for (auto mark = told_apart; mark < std::min(left.marks().size(), right.marks().size()); ++mark)
      ASSERT_NE(left.marks()[mark], right.marks()[mark]);
    EXPECT_EQ(static_cast<int>(left.marks().size()), left.n_tokens() / transcript::mark_tokens);
    EXPECT_EQ(pages_of(left.marks()).size(),
              static_cast<std::size_t>(left.n_tokens() / transcript::page_tokens));
  }
}

TEST(Transcript, HasTheTokensOfItsTextsAndOfTheTemplate) {
  const text_measure measure{.bytes_a_token = 4};
  transcript said{measure, std::string(40, 's')};
  said.ask(std::string(20, 'q'));
  EXPECT_EQ(said.n_tokens(), (3 + 10 + 2) + (3 + 5 + 2) + 3);
  said.answer(0, 7);
  EXPECT_EQ(said.n_tokens(), 28 + 7); // its end is not of the answer
  said.ask(std::string(20, 'r'));
  EXPECT_EQ(said.n_tokens(), 28 + 7 + 2 + (3 + 5 + 2) + 3);
  EXPECT_EQ((transcript{measure, ""}.n_tokens()), 3 + measure.default_system_tokens + 2);
}

TEST(Transcript, AnswersOfOneNameAreTheSame) {
  const auto after = [](std::uint64_t name) {
    transcript said{{}, ""};
    said.ask("What?");
    said.answer(name, 20);
    return said.marks();
  };
  EXPECT_EQ(after(1), after(1));
  EXPECT_NE(after(1), after(2));
}
