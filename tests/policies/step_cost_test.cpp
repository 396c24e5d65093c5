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

/// Sizes that no step's correction brings so near to each other that one hides the next.
std::vector<step_time> far_apart_times() {
  std::vector<step_time> times;
  int n_rows = *rc::gen::inRange(1, 4);
  double us = 100;
  for (int n = *rc::gen::inRange(3, 7); n > 0; --n) {
    times.push_back({n_rows, us});
    n_rows += *rc::gen::inRange(1, 10);
    us *= *rc::gen::inRange(15, 30) * 0.1;
  }
  return times;
}

/// How far a step of `n_rows` that takes `ratio` times what is expected moves each measured size, as
/// exponents of the ratio.
std::vector<double> moves_of(const std::vector<step_time>& measured, int n_rows, double ratio) {
  step_cost cost{measured};
  std::vector<double> moves;
  const double us = ratio * cost.us(n_rows);
  for (const auto& one : measured)
    moves.push_back(-std::log(cost.us(one.n_rows)));
  cost.observe({n_rows, us});
  for (std::size_t i = 0; i < measured.size(); ++i)
    moves[i] = (moves[i] + std::log(cost.us(measured[i].n_rows))) / std::log(ratio);
  return moves;
}

/// 1 for a step of that size, falling to 0 at the next sizes; of steps that are smaller, and of those less
/// than twice as large as any, the outermost size has all.
double share_of(const std::vector<step_time>& measured, std::size_t i, int n_rows) {
  const int own = measured[i].n_rows;
  if (n_rows < own)
    return i == 0 ? 1 : std::max(0.0, 1 - (own - n_rows) / double(own - measured[i - 1].n_rows));
  if (i + 1 == measured.size())
    return n_rows < 2 * own ? 1 : 0;
  return std::max(0.0, 1 - (n_rows - own) / double(measured[i + 1].n_rows - own));
}

/// Planted bugs that it caught: the size below, or that above, not credited, or not by its share; both in
/// full; the nearest alone; a step twice as large as any measured one credited to that; one a little larger
/// or smaller credited to none.
RC_GTEST_PROP(StepCost, AStepSpeaksOfTheSizesBesideItAsMuchAsItIsNear, ()) {
  const auto measured = far_apart_times();
  const double ratio = *rc::gen::element(0.5, 0.8, 1.1, 1.9);
  const int n_rows = *rc::gen::inRange(1, 3 * measured.back().n_rows);
  const auto on_a_size = moves_of(measured, measured[1].n_rows, ratio);
  const double common = on_a_size[0];
  const double own = on_a_size[1] - common;
  RC_ASSERT(common > 0 && own > 0);
  const auto moves = moves_of(measured, n_rows, ratio);
  for (std::size_t i = 0; i < moves.size(); ++i)
    RC_ASSERT(std::abs(moves[i] - common - own * share_of(measured, i, n_rows)) < 1e-9);
}

TEST(StepCost, WhereNothingWasMeasuredARowMoreCostsATwentiethOfTheFirst) {
  const step_cost cost{{}};
  for (const int n : {2, 5, 30})
    EXPECT_NEAR(cost.us(n) / cost.us(1), 1 + 0.05 * (n - 1), 1e-9);
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
  step_cost hasty{std::vector<step_time>{{1, 100}, {4, 150}}};
  hasty.observe({1, 1e-3});
  EXPECT_GT(hasty.us(1), 85);
}
