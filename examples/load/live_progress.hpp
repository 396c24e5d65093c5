// A line a second on standard error while a load runs.
#pragma once

#include "examples/load/live_counts.hpp"
#include "examples/load/run_clock.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <string>

namespace souffleur::load {

/// On a terminal the line is written over, elsewhere there is a new one every five seconds. Stops when it
/// goes.
class live_progress {
public:
  live_progress(boost::asio::io_context& io, std::string name, live_counts& live);
  ~live_progress();
  live_progress(const live_progress&) = delete;
  live_progress& operator=(const live_progress&) = delete;

private:
  void wait();
  void show();

  boost::asio::steady_timer timer_;
  std::string name_;
  live_counts& live_;
  const bool on_terminal_;
  const time_point begun_;
  time_point looked_;
  live_counts seen_; ///< at that time
};

} // namespace souffleur::load
