#include "engine/kernels/thread_team.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <numeric>

namespace souffleur {
namespace {

// Fails if a late worker may take a part of the wrong task, or run() returns before the last part is done.
TEST(ThreadTeam, DoesEveryPartOfEveryTaskOnce) {
  for (const int n_threads : {1, 2, 5}) {
    thread_team team{n_threads};
    for (int round = 0; round < 3000; ++round) {
      const int n_parts = 1 + round % 9;
      std::vector<int> n_calls(static_cast<std::size_t>(n_parts), 0);
      team.run(n_parts, [&](int part) { n_calls[static_cast<std::size_t>(part)] += 1 + round; });
      for (const int n : n_calls)
        ASSERT_EQ(n, 1 + round);
      if (round % 500 == 0) // long enough for the workers to fall asleep
        std::this_thread::sleep_for(std::chrono::milliseconds{2});
    }
  }
}

} // namespace
} // namespace souffleur
