#include "policies/scheduling_policy.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <limits>

using namespace souffleur;

RC_GTEST_PROP(SchedulingPolicy, GivesAPermutationInItsOrder, ()) {
  const auto n = *rc::gen::inRange<sequence_id>(0, 20);
  std::vector<waiting_request> waiting;
  for (sequence_id id = 0; id < n; ++id) {
    waiting.push_back(
        {id, *rc::gen::inRange<std::uint64_t>(0, 9),
         *rc::gen::element(-1, 0, 3, std::numeric_limits<int>::min(), std::numeric_limits<int>::max()), 1,
         0});
  }
  for (const char* name : {"fcfs", "priority"}) {
    const auto order = make_scheduling_policy(name)->order(waiting);
    auto sorted = order;
    std::ranges::sort(sorted);
    RC_ASSERT(sorted.size() == waiting.size());
    for (std::size_t i = 0; i < sorted.size(); ++i) {
      RC_ASSERT(sorted[i] == i);
    }
    for (std::size_t i = 0; i + 1 < order.size(); ++i) {
      const auto& a = waiting[order[i]];
      const auto& b = waiting[order[i + 1]];
      const bool urgent = std::string_view(name) == "priority" && a.priority != b.priority;
      const bool in_order = urgent ? a.priority > b.priority : a.arrival <= b.arrival;
      RC_ASSERT(in_order);
    }
  }
}

TEST(SchedulingPolicy, IsMadeByNameOnly) { EXPECT_EQ(make_scheduling_policy("lifo"), nullptr); }
