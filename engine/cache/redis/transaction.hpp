// Commands that a Redis server carries out as one: nobody sees half of them done.
#pragma once

#include "engine/cache/redis/connection.hpp"
#include "engine/cache/redis/pipeline.hpp"
#include "engine/cache/redis/reply.hpp"

#include <string_view>

namespace souffleur {

class redis_transaction {
public:
  redis_transaction() { commands_.add({"MULTI"}); }

  redis_pipeline& commands() { return commands_; }
  /// An array: the replies to its commands, errors among them. A failure says that none was carried out,
  /// unless it was the connection that broke: then nobody knows.
  /// REQUIRES: is called once.
  result<redis_reply> run(redis_connection& connection, deadline until);

private:
  redis_pipeline commands_;
};

/// Of the replies to the commands of a transaction.
std::optional<std::string_view> first_error_in(const redisReply& replies);

} // namespace souffleur
