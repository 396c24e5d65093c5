// Coroutines that go on at exact times, whatever else there is to do on their thread.
#pragma once

#include "examples/load/run_clock.hpp"

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <map>

namespace souffleur::load {

/// A timer of Asio's goes on behind all handlers that are ready, which are hundreds where hundreds of streams
/// have a token each. The pacer therefore looks at the clock before every handler, and just before a time
/// comes it no longer sleeps, for it takes the kernel tens of microseconds to wake a thread.
class pacer {
public:
  explicit pacer(boost::asio::io_context& io) : io_(io), alarm_(io) {}

  boost::asio::awaitable<void> until(time_point due) {
    if (due <= clock::now())
      co_return;
    co_await boost::asio::async_initiate<const boost::asio::use_awaitable_t<>, void()>(
        [this, due](auto handler) {
          const auto added = waiting_.emplace(due, std::move(handler));
          if (added == waiting_.begin())
            set_alarm();
        },
        boost::asio::use_awaitable);
  }

  /// In place of the context's own: runs one handler, or resumes who is due. False if there is nothing to
  /// wait for.
  bool run_one() {
    if (waiting_.empty())
      return io_.run_one() > 0;
    const auto left = waiting_.begin()->first - clock::now();
    if (left <= clock::duration::zero()) {
      resume_first();
      return true;
    }
    if (left < watchful)
      io_.poll_one();
    else
      io_.run_one();
    io_.restart();
    return true;
  }

private:
  using clock = std::chrono::steady_clock;
  static constexpr std::chrono::microseconds watchful{200};

  void set_alarm() {
    alarm_.expires_at(waiting_.begin()->first - watchful);
    alarm_.async_wait([](const boost::system::error_code&) {}); // run_one() returns, that is all
  }

  void resume_first() {
    auto first = waiting_.extract(waiting_.begin());
    if (!waiting_.empty())
      set_alarm();
    std::move(first.mapped())();
  }

  boost::asio::io_context& io_;
  std::multimap<time_point, boost::asio::any_completion_handler<void()>> waiting_;
  boost::asio::steady_timer alarm_;
};

} // namespace souffleur::load
