#include "policies/cache_policy.hpp"

#include <gtest/gtest.h>

using namespace souffleur;

TEST(CachePolicy, ExactServesOnlyWhatComputingAgainWouldRepeat) {
  const auto exact = make_cache_policy("exact");
  const auto off = make_cache_policy("off");
  for (int bits = 0; bits < 32; ++bits) {
    const auto bit = [&](int i) { return (bits >> i & 1) != 0; };
    const cache_candidate c{bit(0) ? 0.7 : 0.0, bit(1), bit(2), bit(3), bit(4)};
    const bool repeatable = (!bit(0) || bit(1)) && !bit(2) && !bit(3);
    EXPECT_EQ(exact->may_serve(c), repeatable);
    EXPECT_EQ(exact->may_store(c), repeatable && bit(4));
    EXPECT_FALSE(off->may_serve(c) || off->may_store(c));
  }
  EXPECT_EQ(make_cache_policy("fuzzy"), nullptr);
}
