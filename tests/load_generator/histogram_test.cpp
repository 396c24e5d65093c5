#include "examples/load/histogram.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>

using namespace souffleur::load;

namespace {

/// Of all magnitudes.
std::int64_t any_value() {
  const int bits = *rc::gen::resize(rc::kNominalSize, rc::gen::inRange(0, 50));
  return *rc::gen::resize(rc::kNominalSize, rc::gen::inRange<std::int64_t>(0, (std::int64_t{1} << bits) + 1));
}

std::vector<std::int64_t> any_values() {
  std::vector<std::int64_t> values(*rc::gen::inRange<std::size_t>(1, 60));
  for (auto& value : values)
    value = any_value();
  return values;
}

/// Nearest rank, from all values.
std::int64_t exact_quantile(std::vector<std::int64_t> values, double share) {
  std::sort(values.begin(), values.end());
  const auto rank = std::max(1.0, std::ceil(share * static_cast<double>(values.size())));
  return values[static_cast<std::size_t>(rank) - 1];
}

histogram of(const std::vector<std::int64_t>& values) {
  histogram made;
  for (const auto value : values)
    made.add(value);
  return made;
}

} // namespace

RC_GTEST_PROP(Histogram, QuantilesAreOffByLessThanOneInTwoHundred, ()) {
  const auto values = any_values();
  const auto counted = of(values);
  const double share = *rc::gen::inRange(0, 1001) / 1000.0;
  const auto exact = exact_quantile(values, share);
  const auto found = counted.quantile(share);
  RC_ASSERT(std::abs(static_cast<double>(found - exact)) <= static_cast<double>(exact) / 200);
}

RC_GTEST_PROP(Histogram, CountMinimumMaximumAndMeanAreExact, ()) {
  const auto values = any_values();
  const auto counted = of(values);
  RC_ASSERT(counted.count() == static_cast<std::int64_t>(values.size()));
  RC_ASSERT(counted.min() == *std::min_element(values.begin(), values.end()));
  RC_ASSERT(counted.max() == *std::max_element(values.begin(), values.end()));
  long double sum = 0;
  for (const auto value : values)
    sum += static_cast<long double>(value);
  const auto mean = static_cast<double>(sum / static_cast<long double>(values.size()));
  RC_ASSERT(std::abs(counted.mean() - mean) <= 1e-9 * mean + 1e-9);
}

RC_GTEST_PROP(Histogram, TwoMergedAreOneOfAllValues, ()) {
  const auto some = any_values();
  const auto others = any_values();
  auto merged = of(some);
  merged.merge(of(others));
  auto all = some;
  all.insert(all.end(), others.begin(), others.end());
  const auto together = of(all);
  RC_ASSERT(merged.count() == together.count());
  RC_ASSERT(merged.min() == together.min());
  RC_ASSERT(merged.max() == together.max());
  const double share = *rc::gen::inRange(0, 1001) / 1000.0;
  RC_ASSERT(merged.quantile(share) == together.quantile(share));
}

TEST(Histogram, AnEmptyOneHasNoValues) {
  histogram empty;
  EXPECT_EQ(empty.count(), 0);
  EXPECT_EQ(empty.quantile(0.5), 0);
  EXPECT_EQ(empty.mean(), 0);
  empty.merge({});
  EXPECT_EQ(empty.count(), 0);
}

TEST(Histogram, QuantilesAreNearestRanks) {
  const auto ten = of({1, 2, 3, 4, 5, 6, 7, 8, 9, 10});
  EXPECT_EQ(ten.quantile(0), 1);
  EXPECT_EQ(ten.quantile(0.5), 5);
  EXPECT_EQ(ten.quantile(0.51), 6);
  EXPECT_EQ(ten.quantile(0.99), 10);
  EXPECT_NEAR(ten.standard_deviation(), 2.8723, 1e-3);
}
