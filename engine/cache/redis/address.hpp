// Where a Redis server is, and who we are there, from one line of configuration.
#pragma once

#include "engine/result.hpp"

#include <string>
#include <string_view>

namespace souffleur {

struct redis_address {
  std::string host; ///< a name, or an IPv4 or IPv6 address; empty for a Unix socket
  int port = 6379;
  std::string path; ///< of the Unix socket; empty for TCP
  std::string user; ///< empty: the server's default user
  std::string password;
  int database = 0;
  bool operator==(const redis_address&) const = default;

  /// Without the password: for messages.
  std::string place() const;
};

/// `redis://[[user]:password@]host[:port][/database]` or `unix://[[user]:password@]/path[?db=database]`.
/// User, password and path may have %XX in them. No failure repeats the password.
result<redis_address> parse_redis_address(std::string_view url);

} // namespace souffleur
