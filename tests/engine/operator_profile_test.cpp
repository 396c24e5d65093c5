#include "engine/operators/operator_profile.hpp"

#include <gtest/gtest.h>

namespace souffleur {
namespace {

TEST(operator_profile, countsCallsByNameAndShapeInTheOrderOfFirstCalls) {
  operator_profile profile;
  {
    const operator_profile_scope scope{profile};
    { const operator_timer timer{"linear", 4, 8}; }
    { const operator_timer timer{"norm"}; }
    { const operator_timer timer{"linear", 8, 4}; }
    { const operator_timer timer{"linear", 4, 8}; }
  }
  const auto& entries = profile.entries();
  ASSERT_EQ(entries.size(), 3U);
  EXPECT_EQ(entries[0].name, "linear");
  EXPECT_EQ(entries[0].n_out, 4);
  EXPECT_EQ(entries[0].calls, 2);
  EXPECT_EQ(entries[1].name, "norm");
  EXPECT_EQ(entries[1].calls, 1);
  EXPECT_EQ(entries[2].n_out, 8);
  for (const auto& entry : entries)
    EXPECT_GE(entry.time.count(), 0);
}

TEST(operator_profile, isOffOutsideOfItsScope) {
  operator_profile profile;
  { const operator_profile_scope scope{profile}; }
  { const operator_timer timer{"norm"}; }
  EXPECT_TRUE(profile.entries().empty());
}

} // namespace
} // namespace souffleur
