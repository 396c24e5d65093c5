#include "net/short_slices.hpp"

#include <gtest/gtest.h>

#include <sched.h>
#include <sys/resource.h>
#include <thread>

namespace souffleur {
namespace {

TEST(ShortSlices, ChangeNeitherPriorityNorPolicy) {
  std::thread{[] {
    setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + 1); // of this thread
    const auto nice = getpriority(PRIO_PROCESS, 0);
    ask_for_short_slices();
    EXPECT_EQ(getpriority(PRIO_PROCESS, 0), nice);
    EXPECT_EQ(sched_getscheduler(0), SCHED_OTHER);
  }}.join();
}

} // namespace
} // namespace souffleur
