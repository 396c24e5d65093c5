// Coroutines that somebody waits for together.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <exception>

namespace souffleur::load {

/// On one thread. Whoever has spawned joins before the group goes.
class task_group {
public:
  explicit task_group(boost::asio::any_io_executor executor)
      : executor_(executor), all_done_(executor, boost::asio::steady_timer::time_point::max()) {}

  /// The first step is taken at once if the caller runs on the executor.
  void spawn(boost::asio::awaitable<void> task) {
    ++n_running_;
    boost::asio::co_spawn(executor_, std::move(task), [this](std::exception_ptr error) {
      if (error && !error_)
        error_ = error;
      if (--n_running_ == 0)
        all_done_.cancel();
    });
  }

  /// Returns when no task is left; throws what the first one threw.
  boost::asio::awaitable<void> join() {
    while (n_running_ > 0) {
      boost::system::error_code cancelled;
      co_await all_done_.async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, cancelled));
    }
    if (error_)
      std::rethrow_exception(error_);
  }
  int n_running() const { return n_running_; }

private:
  boost::asio::any_io_executor executor_;
  boost::asio::steady_timer all_done_;
  int n_running_ = 0;
  std::exception_ptr error_;
};

} // namespace souffleur::load
