// Where streams wait for clients whose connections dropped.
#pragma once

#include "net/stream/resumable_streams.hpp"

#include <boost/asio/steady_timer.hpp>

namespace souffleur {

struct server_context;

/// Cancels the generations of those whose time is over, or who have more tokens than may wait. Belongs to the
/// I/O thread.
class stream_parking {
public:
  explicit stream_parking(server_context& of);

  resumable_streams& streams() { return streams_; }
  void park(const std::shared_ptr<stream>& left);
  /// The server stops.
  void close();

private:
  void cancel(const std::vector<std::shared_ptr<stream>>& gone);
  void arm();

  server_context& context_;
  resumable_streams streams_;
  boost::asio::steady_timer timer_;
};

} // namespace souffleur
