#include "engine/cache/redis/entry_reader.hpp"

#include "engine/cache/entry_codec.hpp"

namespace souffleur {

namespace {

/// No more than tells that a value is too long.
void ask_for_value(redis_pipeline& to, const redis_access& redis, const key_digest& exact) {
  to.add({"GETRANGE", redis.keys.entry(to_hex(exact)), "0", std::to_string(redis.options.max_value_bytes)});
}

result<std::optional<cache_entry>> entry_in(const redisReply& reply, redis_access& redis,
                                            const key_digest& exact, unix_seconds now_s) {
  if (const auto error = error_of(reply); error && !is_wrong_type(reply))
    return failure{std::string{*error}};
  const auto bytes = text_of(reply);
  if (bytes && bytes->empty())
    return std::optional<cache_entry>{};
  auto entry = bytes && bytes->size() <= redis.options.max_value_bytes ? decode_entry(*bytes) : std::nullopt;
  if (!entry || entry->exact != exact || !redis.has_right_dimensions(*entry)) {
    ++redis.counters.n_damaged;
    return std::optional<cache_entry>{};
  }
  if (entry->expires_s <= now_s)
    return std::optional<cache_entry>{};
  return entry;
}

} // namespace

result<std::optional<cache_entry>> read_entry(redis_access& redis, const key_digest& exact,
                                              unix_seconds now_s, deadline until) {
  redis_pipeline command;
  ask_for_value(command, redis, exact);
  const auto replies = redis.connection.run(command, until);
  if (!replies)
    return failure{replies.error()};
  return entry_in(*replies->front(), redis, exact, now_s);
}

result<std::vector<cache_entry_ptr>> read_entries(redis_access& redis, const std::vector<key_digest>& exact,
                                                  unix_seconds now_s, deadline until) {
  redis_pipeline commands;
  for (const auto& each : exact)
    ask_for_value(commands, redis, each);
  const auto replies = redis.connection.run(commands, until);
  if (!replies)
    return failure{replies.error()};
  std::vector<cache_entry_ptr> entries;
  for (std::size_t i = 0; i < exact.size(); ++i) {
    auto entry = entry_in(*(*replies)[i], redis, exact[i], now_s);
    if (!entry)
      return failure{entry.error()};
    if (*entry)
      entries.push_back(std::make_shared<const cache_entry>(**std::move(entry)));
  }
  return entries;
}

} // namespace souffleur
