// The last steps and requests, against a model that forgets nothing.
#include "actors/recent_activity.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <thread>
#include <vector>

namespace souffleur {
namespace {

step_report step_of(std::vector<request_id> generations, bool is_idle = false) {
  step_report step;
  step.idle = is_idle;
  for (const auto id : generations)
    step.shares.push_back({.id = id});
  return step;
}

request_report ended(request_id id, const std::string& tenant, request_id generation = 0) {
  request_report report{"stop", {}, 1, 2};
  report.id = id;
  report.generation = generation == 0 ? id : generation;
  report.tenant = tenant;
  return report;
}

std::vector<std::uint64_t> numbers_of(const std::vector<numbered_step>& steps) {
  std::vector<std::uint64_t> numbers;
  for (const auto& one : steps)
    numbers.push_back(one.number);
  return numbers;
}

/// Numbers and sizes, as a list that keeps everything would tell them.
RC_GTEST_PROP(RecentActivity, tellsTheNewestStepsAfterANumber, ()) {
  recent_activity recent;
  std::uint64_t n_steps = 0;
  std::vector<std::uint64_t> kept;
  const auto n = *rc::gen::weightedOneOf<std::size_t>(
      {{9, rc::gen::inRange<std::size_t>(0, 40)},
       {1, rc::gen::inRange(recent_activity::most_steps, recent_activity::most_steps + 40)}});
  for (std::size_t i = 0; i < n; ++i) {
    const bool is_idle = *rc::gen::weightedElement<bool>({{4, false}, {1, true}});
    recent.note(step_of({1}, is_idle));
    if (is_idle)
      continue;
    kept.push_back(++n_steps);
    if (kept.size() > recent_activity::most_steps)
      kept.erase(kept.begin());
  }
  const auto after = *rc::gen::inRange<std::uint64_t>(0, n_steps + 5);
  const auto most = *rc::gen::inRange<std::size_t>(0, 60);
  auto expected = kept;
  std::erase_if(expected, [&](std::uint64_t number) { return number <= after; });
  if (expected.size() > most)
    expected.erase(expected.begin(), expected.end() - static_cast<std::ptrdiff_t>(most));
  RC_ASSERT(recent.n_steps() == n_steps);
  RC_ASSERT(numbers_of(recent.steps_after(after, most)) == expected);
}

RC_GTEST_PROP(RecentActivity, aTraceHasTheStepsOfItsGenerationAndIsItsTenantsAlone, ()) {
  recent_activity recent;
  const auto asked = *rc::gen::inRange<request_id>(1, 5);
  const auto is_flight = *rc::gen::arbitrary<bool>();
  const auto generation = is_flight ? asked | flight_bit : asked;
  std::vector<std::uint64_t> expected;
  const auto n = *rc::gen::inRange<std::uint64_t>(0, 30);
  for (std::uint64_t number = 1; number <= n; ++number) {
    auto rows = *rc::gen::container<std::vector<request_id>>(rc::gen::inRange<request_id>(1, 5));
    if (is_flight)
      for (auto& id : rows)
        id |= flight_bit;
    if (std::ranges::find(rows, generation) != rows.end())
      expected.push_back(number);
    recent.note(step_of(rows));
  }
  RC_ASSERT(!recent.trace(asked, "alice"));
  recent.note(ended(asked, "alice", generation));
  recent.note(ended(asked + 1, "bob"));
  RC_ASSERT(!recent.trace(asked, "bob"));
  RC_ASSERT(!recent.trace(asked, ""));
  const auto trace = recent.trace(asked, "alice");
  RC_ASSERT(trace.has_value());
  RC_ASSERT(trace->is_whole);
  RC_ASSERT(numbers_of(trace->steps) == expected);
}

TEST(RecentActivity, forgetsTheOldestRequests) {
  recent_activity recent;
  for (request_id id = 1; id <= recent_activity::most_requests + 1; ++id)
    recent.note(ended(id, "t"));
  EXPECT_FALSE(recent.trace(1, "t"));
  EXPECT_TRUE(recent.trace(2, "t"));
  EXPECT_EQ(recent.n_requests(), recent_activity::most_requests + 1);
}

TEST(RecentActivity, saysThatATraceHasLostItsFirstSteps) {
  recent_activity recent;
  const steady_time start{std::chrono::hours{1}};
  for (std::size_t i = 0; i <= recent_activity::most_steps; ++i) {
    auto step = step_of({7});
    step.began = start + std::chrono::milliseconds{i};
    recent.note(step);
  }
  auto report = ended(7, "t");
  report.times.arrival = start - std::chrono::milliseconds{1};
  recent.note(report);
  EXPECT_FALSE(recent.trace(7, "t")->is_whole);
  EXPECT_EQ(recent.trace(7, "t")->steps.size(), recent_activity::most_steps);
  report.times.arrival = start + std::chrono::seconds{1};
  recent.note(report);
  EXPECT_TRUE(recent.trace(7, "t")->is_whole) << "what is forgotten was before it came";
}

RC_GTEST_PROP(RecentActivity, addsUpWhatEachDrafterDrafted, ()) {
  recent_activity recent;
  std::array<std::array<std::uint64_t, 3>, n_token_origins> expected{};
  const auto n = *rc::gen::inRange(0, 20);
  for (int i = 0; i < n; ++i) {
    auto step = step_of({1});
    const auto drafter = *rc::gen::inRange<std::size_t>(1, n_token_origins);
    const auto n_drafted = *rc::gen::inRange(1, 9);
    const auto n_accepted = *rc::gen::inRange(0, n_drafted + 1);
    step.drafts.push_back({static_cast<token_origin>(drafter), n_drafted, n_accepted});
    recent.note(step);
    expected[drafter][0] += 1;
    expected[drafter][1] += static_cast<std::uint64_t>(n_drafted);
    expected[drafter][2] += static_cast<std::uint64_t>(n_accepted);
  }
  std::array<std::array<std::uint64_t, 3>, n_token_origins> told{};
  for (const auto& one : recent.drafters())
    told[static_cast<std::size_t>(one.drafter)] = {one.n_drafts, one.n_drafted, one.n_accepted};
  RC_ASSERT(told == expected);
}

TEST(RecentActivity, isReadWhileItIsWritten) {
  recent_activity recent;
  std::thread writer{[&] {
    for (int i = 0; i < 2000; ++i) {
      recent.note(step_of({1, 2}));
      recent.note(ended(1, "t"));
    }
  }};
  for (int i = 0; i < 200; ++i) {
    const auto steps = numbers_of(recent.steps_after(0, 50));
    EXPECT_TRUE(std::ranges::is_sorted(steps));
    static_cast<void>(recent.trace(1, "t"));
  }
  writer.join();
  EXPECT_EQ(recent.n_steps(), 2000U);
}

} // namespace
} // namespace souffleur
