#include "examples/load/pacer.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

using namespace souffleur::load;
using std::chrono::microseconds;
using std::chrono::steady_clock;

TEST(Pacer, WhoIsDueGoesBeforeAllHandlersThatAreReady) {
  boost::asio::io_context io{1};
  pacer paced{io};
  std::vector<time_point> begun;
  std::size_t n_before = 0;
  const auto due = steady_clock::now() + microseconds{5000};
  boost::asio::co_spawn(
      io,
      [&]() -> boost::asio::awaitable<void> {
        co_await paced.until(due);
        EXPECT_GE(steady_clock::now(), due);
        n_before = begun.size();
      },
      boost::asio::detached);
  for (int i = 0; i < 300; ++i)
    boost::asio::post(io, [&] {
      begun.push_back(steady_clock::now());
      while (steady_clock::now() < begun.back() + microseconds{50}) {
      }
    });
  while (paced.run_one()) {
  }
  EXPECT_EQ(begun.size(), 300U);
  EXPECT_LT(n_before, 300U);
  const auto n_late = std::count_if(begun.begin(), begun.begin() + static_cast<std::ptrdiff_t>(n_before),
                                    [&](auto when) { return when > due; });
  EXPECT_LE(n_late, 1) << "the one that was begun while nobody was due yet";
}

TEST(Pacer, TimesComeInTheirOrderWhoeverWaitsFirst) {
  boost::asio::io_context io{1};
  pacer paced{io};
  const auto start = steady_clock::now() + std::chrono::milliseconds{100};
  std::vector<int> order;
  const auto wait = [&](int ms) -> boost::asio::awaitable<void> {
    co_await paced.until(start + std::chrono::milliseconds{ms});
    order.push_back(ms);
    if (ms == 3)
      co_await paced.until(start); // long past
    order.push_back(ms);
  };
  for (const int ms : {5, 1, 3, 0})
    boost::asio::co_spawn(io, wait(ms), boost::asio::detached);
  while (paced.run_one()) {
  }
  EXPECT_EQ(order, (std::vector<int>{0, 0, 1, 1, 3, 3, 5, 5}));
}
