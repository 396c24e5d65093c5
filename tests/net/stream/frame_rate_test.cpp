#include "net/stream/frame_rate.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace souffleur {
namespace {

using namespace std::chrono_literals;

/// A client that sends as fast as it may.
RC_GTEST_PROP(a_frame_rate, admitsABurstAndThenSoManyASecond, ()) {
  const int per_s = *rc::gen::inRange(1, 2000);
  frame_rate rate{per_s};
  stream_time now{10s};
  std::vector<stream_time> taken;
  for (int i = 0; i < 3 * per_s && i < 3000; ++i) {
    taken.push_back(now);
    now = std::max(now, rate.took(now));
    if (*rc::gen::inRange(0, 20) == 0)
      now += std::chrono::milliseconds{*rc::gen::inRange(0, 50)};
  }
  // In any second no more than the burst and what comes in one second.
  for (std::size_t first = 0, last = 0; last < taken.size(); ++last) {
    while (taken[last] - taken[first] >= 1s)
      ++first;
    RC_ASSERT(last - first + 1 <= 2 * static_cast<std::size_t>(per_s) + 1);
  }
}

TEST(a_frame_rate, letsASlowClientNeverWait) {
  frame_rate rate{10};
  for (stream_time now{1s}; now < stream_time{100s}; now += 100ms)
    EXPECT_LE(rate.took(now), now);
}

TEST(a_frame_rate, stopsAFastOne) {
  frame_rate rate{10};
  stream_time now{1s};
  for (int i = 0; i < 10; ++i)
    EXPECT_LE(rate.took(now), now);
  EXPECT_EQ(rate.took(now), now + 100ms);
}

} // namespace
} // namespace souffleur
