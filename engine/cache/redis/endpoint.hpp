// The socket addresses that a server's name stands for now.
#pragma once

#include "engine/cache/redis/address.hpp"
#include "engine/cache/redis/deadline.hpp"
#include "engine/result.hpp"

#include <future>
#include <sys/socket.h>
#include <vector>

namespace souffleur {

struct socket_address {
  sockaddr_storage storage{};
  socklen_t n_bytes = 0;
};

struct found_addresses {
  std::vector<socket_address> addresses; ///< none: it failed
  std::string error;
};

/// The system's resolver may take half a minute, so a thread of its own waits for it; whoever asks waits
/// until a deadline, and finds the answer when asking again. It is asked anew for each answer: a server that
/// was moved is found.
class redis_endpoint {
public:
  explicit redis_endpoint(redis_address address) : address_(std::move(address)) {}

  const redis_address& address() const { return address_; }
  /// At least one.
  result<std::vector<socket_address>> find(deadline until);

private:
  redis_address address_;
  std::future<found_addresses> pending_;
};

} // namespace souffleur
