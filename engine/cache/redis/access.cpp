#include "engine/cache/redis/access.hpp"

namespace souffleur {

result<redis_reply> redis_access::ask(const redis_pipeline& commands, deadline until) {
  auto replies = connection.run(commands, until);
  if (!replies)
    return failure{replies.error()};
  if (const auto error = error_of(*replies->back()))
    return failure{std::string{*error}};
  return std::move(replies->back());
}

} // namespace souffleur
