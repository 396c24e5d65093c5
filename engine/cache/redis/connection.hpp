// The one connection of a store to its server: made when it is needed, and made again after it broke, but not
// too often.
#pragma once

#include "engine/cache/redis/circuit_breaker.hpp"
#include "engine/cache/redis/deadline.hpp"
#include "engine/cache/redis/endpoint.hpp"
#include "engine/cache/redis/pipeline.hpp"
#include "engine/cache/redis/reply.hpp"
#include "engine/cache/redis/socket.hpp"
#include "engine/result.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace souffleur {

struct redis_connection_options {
  redis_address address;
  std::chrono::milliseconds connect_timeout{50}; ///< also for the first exchange
  std::chrono::milliseconds first_back_off{50};
  std::chrono::milliseconds most_back_off{5000};
};

/// What a server says of itself when a connection is made.
struct redis_server_facts {
  std::string run_id; ///< another one after each start; empty if it does not tell
  bool has_vector_sets = false;
};

/// After a timeout, whatever comes then would be the answer to an earlier question, so the connection is
/// closed. One thread.
class redis_connection {
public:
  explicit redis_connection(redis_connection_options options);

  /// One reply a command, errors of the server among them. A failure says that the server did not answer in
  /// time, or that it is not asked at all now, because it failed a moment ago; then it comes at once.
  result<std::vector<redis_reply>> run(const redis_pipeline& pipeline, deadline until);
  /// Connects if that is not done and may be tried now.
  result<std::monostate> connect(deadline until);

  bool is_reachable() const { return socket_.has_value(); }
  /// At the last connection.
  const redis_server_facts& server() const { return server_; }

private:
  result<stream_socket> open_socket(deadline until);
  result<redis_server_facts> greet(deadline until);
  result<std::vector<redis_reply>> exchange(const redis_pipeline& pipeline, deadline until);
  failure give_up(std::string why);

  redis_connection_options options_;
  redis_endpoint endpoint_;
  circuit_breaker breaker_;
  std::optional<stream_socket> socket_;
  reply_reader reader_;
  redis_server_facts server_;
  std::string trouble_; ///< why it broke
};

} // namespace souffleur
