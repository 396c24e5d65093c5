#include "engine/cache/redis/transaction.hpp"

#include <string>

namespace souffleur {

result<redis_reply> redis_transaction::run(redis_connection& connection, deadline until) {
  commands_.add({"EXEC"});
  auto replies = connection.run(commands_, until);
  if (!replies)
    return failure{replies.error()};
  // What was refused when it was queued says more than EXEC, which is refused for that.
  for (const auto& reply : *replies)
    if (const auto error = error_of(*reply))
      return failure{std::string{*error}};
  if (is_null(*replies->back()))
    return failure{"a watched key was changed"};
  return std::move(replies->back());
}

std::optional<std::string_view> first_error_in(const redisReply& replies) {
  for (const auto* reply : items_of(replies))
    if (const auto error = error_of(*reply))
      return error;
  return std::nullopt;
}

} // namespace souffleur
