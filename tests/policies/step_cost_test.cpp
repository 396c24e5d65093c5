#include "policies/step_cost.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

using namespace souffleur;

namespace {

std::vector<step_time> any_times() {
  auto times = *rc::gen::container<std::vector<step_time>>(
      rc::gen::map(rc::gen::pair(rc::gen::inRange(1, 80), rc::gen::inRange(1, 1'000'000)),
                   [](const std::pair<int, int>& one) {
                     return step_time{one.first, static_cast<double>(one.second)};
                   }));
  return times;
}

} // namespace

RC_GTEST_PROP(StepCost, NeverFallsWithMoreRowsAndIsPositive, ()) {
  step_cost cost{any_times()};
  for (const auto& step : any_times())
    cost.observe(step);
  double before = 0;
  for (int n = 1; n < 150; ++n) {
    const double now = cost.us(n);
    RC_ASSERT(std::isfinite(now));
    RC_ASSERT(now > 0);
    RC_ASSERT(now >= before * (1 - 1e-12));
    before = now;
  }
}

RC_GTEST_PROP(StepCost, IsWhatWasMeasuredWhereThatRises, ()) {
  std::vector<step_time> rising;
  int n_rows = 0;
  double us = 0;
  const int n = *rc::gen::inRange(1, 10);
  for (int i = 0; i < n; ++i) {
    n_rows += *rc::gen::inRange(1, 10);
    us += *rc::gen::inRange(1, 1000);
    rising.push_back({n_rows, us});
  }
  const step_cost cost{rising};
  for (const auto& one : rising)
    RC_ASSERT(std::abs(cost.us(one.n_rows) - one.us) < 1e-9 * one.us);
}

RC_GTEST_PROP(StepCost, ALearnedSlownessLeavesTheProportionsAsTheyWere, ()) {
  const std::vector<step_time> measured{{1, 100}, {2, 110}, {4, 150}, {8, 260}};
  step_cost cost{measured};
  const double times = *rc::gen::inRange(2, 9) * 0.5;
  for (int i = 0; i < 400; ++i) {
    const auto& one = measured[static_cast<std::size_t>(i % 4)];
    cost.observe({one.n_rows, times * one.us});
  }
  for (const auto& one : measured)
    RC_ASSERT(std::abs(cost.us(one.n_rows) / (times * one.us) - 1) < 0.1);
}

TEST(StepCost, LearnsThatOneNumberOfRowsIsSlowerThanMeasured) {
  step_cost cost{std::vector<step_time>{{1, 100}, {4, 150}, {8, 260}}};
  for (int i = 0; i < 300; ++i) {
    cost.observe({1, 100});
    cost.observe({4, 200});
  }
  EXPECT_NEAR(cost.us(4) / cost.us(1), 2.0, 0.1);
}

TEST(StepCost, WhatMakesOneStepSlowerMakesThoseSlowerThatAreNeverTaken) {
  step_cost cost{std::vector<step_time>{{1, 100}, {8, 260}}};
  for (int i = 0; i < 20; ++i)
    cost.observe({1, 200});
  EXPECT_GT(cost.us(8), 1.4 * 260);
}

TEST(StepCost, OneStepBesideWhichTheMachineWasBusyTellsLittle) {
  step_cost cost{std::vector<step_time>{{1, 100}, {4, 150}}};
  cost.observe({1, 100'000});
  EXPECT_LT(cost.us(1), 115);
  EXPECT_LT(cost.us(1) / cost.us(4), 0.75);
}
