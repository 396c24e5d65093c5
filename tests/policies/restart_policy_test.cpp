#include "policies/restart_policy.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <vector>

namespace souffleur {
namespace {

constexpr restart_limits limits{3, 60'000, 1000, 5, 1000};

TEST(RestartPolicy, BringsBackAtOnceWhoDiesNowAndThen) {
  restart_policy policy{limits};
  for (std::int64_t now = 2000; now < 10'000'000; now += 21'000) {
    const auto next = policy.died("verifier", true, now);
    ASSERT_EQ(next.verdict, restart_verdict::restart);
    ASSERT_EQ(next.pause_ms, 0);
  }
}

TEST(RestartPolicy, WaitsLongerEachTimeForWhoDiesAtOnce) {
  restart_policy policy{{100, 60'000, 1000, 5, 100}};
  std::vector<std::int64_t> pauses;
  std::int64_t now = 5000;
  for (int i = 0; i < 8; ++i) {
    pauses.push_back(policy.died("verifier", true, now).pause_ms);
    now += pauses.back() + 1;
  }
  EXPECT_EQ(pauses, (std::vector<std::int64_t>{0, 5, 10, 20, 40, 80, 100, 100}));
  EXPECT_EQ(policy.died("verifier", true, now + 2000).pause_ms, 0);
}

TEST(RestartPolicy, ForgivenDeathsDoNotCount) {
  restart_policy policy{limits};
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < 3; ++i)
      ASSERT_EQ(policy.died("verifier", true, 5000 + round).verdict, restart_verdict::restart);
    policy.forgive("verifier", 3);
  }
  policy.forgive("verifier", 100);
  policy.forgive("nobody", 1);
  EXPECT_EQ(policy.n_deaths("verifier"), 0);
}

struct event {
  unsigned part = 0;
  std::int64_t after_ms = 0; ///< may be negative
  int forgiven = 0;          ///< > 0: not a death
};

std::ostream& operator<<(std::ostream& out, const event& it) {
  return out << "{" << it.part << ", " << it.after_ms << ", " << it.forgiven << "}";
}

rc::Gen<event> any_event() {
  const auto after = rc::gen::weightedOneOf<std::int64_t>({{6, rc::gen::inRange<std::int64_t>(0, 50)},
                                                           {3, rc::gen::inRange<std::int64_t>(0, 3000)},
                                                           {1, rc::gen::inRange<std::int64_t>(-5000, 0)},
                                                           {1, rc::gen::inRange<std::int64_t>(0, 90'000)}});
  const auto forgiven = rc::gen::weightedOneOf<int>({{9, rc::gen::just(0)}, {1, rc::gen::inRange(1, 4)}});
  return rc::gen::build<event>(rc::gen::set(&event::part, rc::gen::inRange(0U, 2U)),
                               rc::gen::set(&event::after_ms, after),
                               rc::gen::set(&event::forgiven, forgiven));
}

/// The model keeps every death and counts anew each time. Planted bugs that it caught: the budget over the
/// lifetime; a death at the window's edge counted; one part's deaths counted for the other; the oldest deaths
/// forgiven; a clock that is set back believed; a pause that does not start over; the pause without its
/// bound.
RC_GTEST_PROP(RestartPolicy, AgreesWithAModelThatForgetsNothing, ()) {
  const auto events = *rc::gen::scale(2.0, rc::gen::container<std::vector<event>>(any_event()));
  restart_policy policy{limits};
  struct known {
    std::vector<std::int64_t> deaths;
    int n_in_a_row = 0;
    std::int64_t up_since = -1'000'000'000;
  };
  known of_part[2];
  const char* names[] = {"verifier", "drafter"};
  std::int64_t now = 5000, latest = 0;
  for (const auto& it : events) {
    auto& part = of_part[it.part];
    if (it.forgiven > 0) {
      part.n_in_a_row = std::max(0, part.n_in_a_row - it.forgiven);
      policy.forgive(names[it.part], it.forgiven);
      // What has left the window before the last death cannot be forgiven.
      std::erase_if(part.deaths, [&](auto at) { return at <= part.deaths.back() - limits.window_ms; });
      part.deaths.resize(part.deaths.size() - std::min<std::size_t>(part.deaths.size(), it.forgiven));
      continue;
    }
    now += it.after_ms;
    latest = std::max(latest, now);
    part.deaths.push_back(latest);
    const auto n_counted =
        std::ranges::count_if(part.deaths, [&](auto at) { return at > latest - limits.window_ms; });
    part.n_in_a_row = latest - part.up_since < limits.stable_ms ? part.n_in_a_row + 1 : 0;
    std::int64_t pause =
        part.n_in_a_row == 0 ? 0 : limits.first_pause_ms << std::min(part.n_in_a_row - 1, 20);
    pause = std::min(pause, limits.longest_pause_ms);
    auto verdict = restart_verdict::restart;
    if (n_counted > limits.max_restarts) {
      verdict = it.part == 0 ? restart_verdict::give_up : restart_verdict::leave_out;
      pause = it.part == 0 ? 0 : limits.window_ms;
    }
    part.up_since = latest + pause;
    const auto next = policy.died(names[it.part], it.part == 0, now);
    RC_ASSERT(next.verdict == verdict);
    RC_ASSERT(next.pause_ms == pause);
    RC_ASSERT(policy.n_deaths(names[it.part]) == n_counted);
  }
}

} // namespace
} // namespace souffleur
