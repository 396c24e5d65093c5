#include "policies/routing_policy.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <vector>

using namespace souffleur;

namespace {

constexpr std::array names = {"round_robin", "least_loaded", "cache_aware", "consistent_hash", "sticky"};

std::string any_name() { return names[*rc::gen::inRange<std::size_t>(0, names.size())]; }

std::vector<worker_view> any_workers(int n_most = 8, int n_least = 0) {
  std::vector<worker_view> workers;
  const int n = *rc::gen::inRange(n_least, n_most + 1);
  worker_id id = 0;
  for (int i = 0; i < n; ++i) {
    id += *rc::gen::inRange<worker_id>(1, 4);
    workers.push_back({.id = id,
                       .takes_requests = *rc::gen::inRange(0, 4) > 0,
                       .n_streams = *rc::gen::inRange(0, 12),
                       .n_waiting_tokens = *rc::gen::inRange(0, 1000),
                       .n_matched_tokens = *rc::gen::inRange(0, 600)});
  }
  return workers;
}

routing_request any_request() { return {*rc::gen::inRange<std::uint64_t>(0, 40), *rc::gen::inRange(1, 600)}; }

bool any_takes(const std::vector<worker_view>& workers) {
  return std::ranges::any_of(workers, &worker_view::takes_requests);
}

std::int64_t cost(const routing_request& request, const worker_view& worker) {
  return worker.n_waiting_tokens + std::int64_t{routing_options{}.stream_cost_tokens} * worker.n_streams +
         std::max(0, request.n_prompt_tokens - worker.n_matched_tokens);
}

} // namespace

// Planted bugs that these properties caught: see the list above each.

// Planted: takes_requests ignored by the hash, by the rotation, by a conversation's last place; nothing if
// the first takes none.
RC_GTEST_PROP(RoutingPolicy, GivesARequestToSomebodyWhoTakesItIfThereIsOne, ()) {
  const auto policy = make_routing_policy(any_name());
  for (int i = *rc::gen::inRange(1, 30); i > 0; --i) {
    const auto workers = any_workers();
    const auto chosen = policy->choose(any_request(), workers);
    RC_ASSERT(chosen.has_value() == any_takes(workers));
    if (chosen)
      RC_ASSERT(workers[*chosen].takes_requests);
  }
}

// Planted: matched tokens not subtracted; streams not counted; negative cost for a prompt shorter than the
// match.
RC_GTEST_PROP(RoutingPolicy, CacheAwareTakesWhoHasTheLeastToDoBeforeTheFirstToken, ()) {
  const auto policy = make_routing_policy("cache_aware");
  const auto workers = any_workers();
  const auto request = any_request();
  if (const auto chosen = policy->choose(request, workers))
    for (const auto& other : workers)
      RC_ASSERT((!other.takes_requests || cost(request, workers[*chosen]) <= cost(request, other)));
}

RC_GTEST_PROP(RoutingPolicy, LeastLoadedDoesNotLookAtPrefixes, ()) {
  const auto policy = make_routing_policy("least_loaded");
  const auto workers = any_workers();
  const auto request = any_request();
  RC_ASSERT(!policy->looks_at_prefixes());
  if (const auto chosen = policy->choose(request, workers))
    for (const auto& other : workers)
      RC_ASSERT((!other.takes_requests || cost({}, workers[*chosen]) <= cost({}, other)));
}

// Planted: the turn stands still; it goes by twos.
RC_GTEST_PROP(RoutingPolicy, RoundRobinGivesAllTheSame, ()) {
  const auto policy = make_routing_policy("round_robin");
  auto workers = any_workers(8, 1);
  workers.front().takes_requests = true;
  const auto n_takers = std::ranges::count_if(workers, &worker_view::takes_requests);
  std::map<std::size_t, int> n_given;
  for (int i = 0; i < 3 * n_takers; ++i)
    ++n_given[*policy->choose(any_request(), workers)];
  RC_ASSERT(static_cast<std::ptrdiff_t>(n_given.size()) == n_takers);
  for (const auto& [worker, n] : n_given)
    RC_ASSERT(n == 3);
}

// Among equals none is always preferred.
TEST(RoutingPolicy, EqualLoadsTakeTurns) {
  for (const auto* name : {"least_loaded", "cache_aware"}) {
    const auto policy = make_routing_policy(name);
    const std::vector<worker_view> workers{{.id = 1}, {.id = 2}, {.id = 3}};
    std::map<std::size_t, int> n_given;
    for (int i = 0; i < 9; ++i)
      ++n_given[*policy->choose({7, 100}, workers)];
    EXPECT_EQ(n_given, (std::map<std::size_t, int>{{0, 3}, {1, 3}, {2, 3}})) << name;
  }
}

// Planted: bound without the stream that is placed; rounded down; over all workers instead of those that take
// requests; <= bound.
RC_GTEST_PROP(RoutingPolicy, ConsistentHashNeverExceedsItsBound, ()) {
  routing_options options;
  options.load_factor = *rc::gen::element(1.0, 1.1, 1.25, 2.0);
  const auto policy = make_routing_policy("consistent_hash", options);
  std::vector<worker_view> workers(*rc::gen::inRange<std::size_t>(1, 7));
  for (std::size_t i = 0; i < workers.size(); ++i) {
    workers[i].id = i + 1;
    workers[i].takes_requests = i == 0 || *rc::gen::inRange(0, 4) > 0;
  }
  const auto n_takers = static_cast<double>(std::ranges::count_if(workers, &worker_view::takes_requests));
  // From empty, and with streams that end: the bound holds at each placement.
  int n_streams = 0;
  for (int i = *rc::gen::inRange(1, 60); i > 0; --i) {
    if (n_streams > 0 && *rc::gen::inRange(0, 3) == 0) {
      const auto busy = std::ranges::find_if(workers, [](const auto& one) { return one.n_streams > 0; });
      --busy->n_streams;
      --n_streams;
      continue;
    }
    const auto chosen = policy->choose({*rc::gen::inRange<std::uint64_t>(0, 3), 1}, workers);
    RC_ASSERT(chosen.has_value());
    ++workers[*chosen].n_streams;
    ++n_streams;
    RC_ASSERT(workers[*chosen].n_streams < options.load_factor * n_streams / n_takers + 1);
  }
}

// Planted: index instead of id in the hash; conversation not in the hash of the weight.
RC_GTEST_PROP(RoutingPolicy, AWorkerThatLeavesMovesItsOwnConversationsOnly, ()) {
  const auto policy = make_routing_policy("consistent_hash");
  auto workers = any_workers(8, 2);
  for (auto& worker : workers) {
    worker.n_streams = 0;
    worker.takes_requests = true;
  }
  std::map<std::uint64_t, worker_id> before;
  for (std::uint64_t conversation = 0; conversation < 40; ++conversation)
    before[conversation] = workers[*policy->choose({conversation, 1}, workers)].id;
  const auto gone = *rc::gen::inRange<std::size_t>(0, workers.size());
  const auto gone_id = workers[gone].id;
  workers.erase(workers.begin() + static_cast<std::ptrdiff_t>(gone));
  for (const auto& [conversation, place] : before) {
    const auto now = workers[*policy->choose({conversation, 1}, workers)].id;
    RC_ASSERT((place == gone_id || now == place));
  }
}

TEST(RoutingPolicy, ConsistentHashSpreadsConversations) {
  const auto policy = make_routing_policy("consistent_hash");
  const std::vector<worker_view> workers{{.id = 1}, {.id = 2}, {.id = 3}, {.id = 4}};
  std::vector<int> n_given(workers.size());
  for (std::uint64_t conversation = 0; conversation < 4000; ++conversation)
    ++n_given[*policy->choose({conversation, 1}, workers)];
  for (const int n : n_given)
    EXPECT_NEAR(n, 1000, 150);
}

// Planted: forgets on every choice; never forgets; keeps the place of a worker that is gone; forgets the
// newest.
RC_GTEST_PROP(RoutingPolicy, StickyKeepsTheConversationsThatItHasRoomFor, ()) {
  routing_options options;
  options.max_conversations = *rc::gen::inRange<std::size_t>(1, 6);
  const auto policy = make_routing_policy("sticky", options);
  std::vector<std::pair<std::uint64_t, worker_id>> newest_first; // the model
  for (int i = *rc::gen::inRange(1, 40); i > 0; --i) {
    const auto workers = any_workers(4);
    const routing_request request{*rc::gen::inRange<std::uint64_t>(0, 8), 10};
    const auto chosen = policy->choose(request, workers);
    const auto known =
        std::ranges::find(newest_first, request.conversation, &std::pair<std::uint64_t, worker_id>::first);
    const auto at = known == newest_first.end() ? workers.end()
                                                : std::ranges::find(workers, known->second, &worker_view::id);
    if (known != newest_first.end())
      std::rotate(newest_first.begin(), known, known + 1);
    if (!chosen)
      continue;
    if (at != workers.end() && at->takes_requests)
      RC_ASSERT(workers[*chosen].id == at->id);
    else
      for (const auto& other : workers)
        RC_ASSERT((!other.takes_requests || cost({}, workers[*chosen]) <= cost({}, other)));
    if (newest_first.empty() || newest_first.front().first != request.conversation)
      newest_first.insert(newest_first.begin(), {request.conversation, 0});
    newest_first.front().second = workers[*chosen].id;
    newest_first.resize(std::min(newest_first.size(), options.max_conversations));
  }
}

// Planted: a conversation that goes on is as old as it was.
TEST(RoutingPolicy, StickyForgetsTheConversationThatWasSilentForLongest) {
  routing_options options;
  options.max_conversations = 2;
  const auto policy = make_routing_policy("sticky", options);
  const auto worker_of = [&](std::uint64_t conversation, std::size_t idle) {
    std::vector<worker_view> workers{{.id = 1, .n_waiting_tokens = 500}, {.id = 2, .n_waiting_tokens = 500}};
    workers[idle].n_waiting_tokens = 0;
    return *policy->choose({conversation, 10}, workers);
  };
  EXPECT_EQ(worker_of(1, 0), 0U);
  EXPECT_EQ(worker_of(2, 0), 0U);
  EXPECT_EQ(worker_of(1, 1), 0U);
  EXPECT_EQ(worker_of(3, 1), 1U);
  EXPECT_EQ(worker_of(1, 1), 0U);
  EXPECT_EQ(worker_of(2, 1), 1U) << "it was the oldest";
}

TEST(RoutingPolicy, IsFoundByItsNameAndByThatUnderWhichAProgramRegisteredOne) {
  for (const auto* name : names)
    EXPECT_EQ(make_routing_policy(name)->name(), name);
  EXPECT_EQ(make_routing_policy("random"), nullptr);
  static int n_runs = 0; // what was registered stays so when the test is repeated
  const auto mine = "mine_" + std::to_string(++n_runs);
  EXPECT_TRUE(register_routing_policy(mine, [] { return make_routing_policy("sticky"); }));
  EXPECT_EQ(make_routing_policy(mine)->name(), "sticky");
  EXPECT_FALSE(register_routing_policy(mine, [] { return make_routing_policy("sticky"); }));
  EXPECT_FALSE(register_routing_policy("sticky", [] { return make_routing_policy("sticky"); }));
}
