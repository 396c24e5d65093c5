// How much of a server one WebSocket connection and its streams may use.
#pragma once

#include <chrono>
#include <cstddef>

namespace souffleur {

using stream_time = std::chrono::steady_clock::time_point;

struct stream_limits {
  int max_streams = 64;                 ///< of one connection, that run
  int max_kept_streams = 64;            ///< of one connection, that have ended and can go on
  std::size_t max_kept_bytes = 1 << 20; ///< of one connection's conversations, as the client wrote them
  std::chrono::seconds keep{600};       ///< how long a stream that has ended can go on
  std::size_t max_replay_bytes =
      256 * 1024;                     ///< of one stream's sent frames, kept for a client that comes back
  std::chrono::seconds resume{30};    ///< how long a stream waits for its client; 0: not at all
  int max_parked_streams = 1024;      ///< of all clients together
  std::chrono::milliseconds batch{0}; ///< least time between two deltas, where the client does not say
};

} // namespace souffleur
