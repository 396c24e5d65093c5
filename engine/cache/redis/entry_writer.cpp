#include "engine/cache/redis/entry_writer.hpp"

#include "engine/cache/entry_codec.hpp"
#include "engine/cache/redis/change_log.hpp"
#include "engine/cache/redis/entry_reader.hpp"
#include "engine/cache/redis/removal.hpp"
#include "engine/cache/redis/transaction.hpp"
#include "engine/cache/redis/vector_sets.hpp"

#include <algorithm>

namespace souffleur {

namespace {

std::string expiry_ms(unix_seconds expires_s) {
  constexpr unix_seconds latest_s = 1'000'000'000'000;
  return std::to_string(std::clamp<unix_seconds>(expires_s, 1, latest_s) * 1000);
}

std::string vector_set_of(const redis_access& redis, const cache_entry& entry) {
  if (entry.embedding.empty() || !redis.has_search())
    return "";
  return vector_set_name(entry.partition, entry.embedder, entry.embedding.size());
}

void write_vector(redis_pipeline& to, const redis_access& redis, const cache_entry& entry) {
  const auto exact = to_hex(entry.exact);
  if (entry.embedding.empty()) { // an older one may have had a vector
    const auto set = vector_set_name(entry.partition, redis.options.embedder, redis.options.n_dimensions);
    remove_vector(to, redis.keys.vectors(set), exact);
    return;
  }
  const auto key = redis.keys.vectors(vector_set_of(redis, entry));
  const auto expires_ms = expiry_ms(entry.expires_s);
  add_vector(to, key, exact, entry.embedding, entry.expires_s);
  // The set is there for as long as the last of its vectors.
  to.add({"PEXPIREAT", key, expires_ms, "NX"});
  to.add({"PEXPIREAT", key, expires_ms, "GT"});
}

redis_transaction writing(const redis_access& redis, const cache_entry& entry, std::string_view bytes) {
  const auto exact = to_hex(entry.exact);
  const owned_entry owned{exact, vector_set_of(redis, entry)};
  redis_transaction transaction;
  auto& commands = transaction.commands();
  commands.add({"SET", redis.keys.entry(exact), bytes, "PXAT", expiry_ms(entry.expires_s)});
  // Without an expiry: a full server may drop what has one, and then nobody could find what to forget.
  commands.add({"ZADD", redis.keys.owner(entry.owner), std::to_string(entry.expires_s), owned.text()});
  if (redis.has_search())
    write_vector(commands, redis, entry);
  log_change(commands, redis.keys.changes(), entry_change::added, exact, redis.options.max_changes);
  return transaction;
}

/// Their partitions are the owner's alone, so whole vector sets go.
result<std::size_t> remove_listed(redis_access& redis, std::string_view owner_key, const redisReply& members,
                                  deadline until) {
  redis_removal removal{redis};
  for (const auto* member : items_of(members)) {
    const auto text = text_of(*member).value_or("");
    removal.add_listed(owner_key, text);
    const auto owned = owned_entry::parse(text);
    if (!owned) {
      ++redis.counters.n_damaged;
      continue;
    }
    removal.add_entry(owned->exact_hex);
    if (!owned->vector_set.empty())
      removal.add_vector_set(owned->vector_set);
  }
  return removal.run(until);
}

/// Whether the server may have dropped what tells who owns what.
result<bool> may_drop_any_key(redis_access& redis, deadline until) {
  redis_pipeline command;
  command.add({"INFO", "memory"});
  const auto reply = redis.ask(command, until);
  if (!reply)
    return failure{reply.error()};
  const auto info = text_of(**reply).value_or("");
  return info_field(info, "maxmemory") != "0" && info_field(info, "maxmemory_policy").starts_with("allkeys");
}

} // namespace

result<std::monostate> write_entry(redis_access& redis, const cache_entry& entry, deadline until) {
  const auto bytes = encode_entry(entry);
  if (bytes.size() > redis.options.max_value_bytes)
    return failure{"the entry takes " + std::to_string(bytes.size()) + " bytes, which is too many"};
  if (!redis.has_right_dimensions(entry))
    return failure{"the entry's embedding has other dimensions"};
  // Which commands the server has is known when there is a connection.
  if (auto connected = redis.connection.connect(until); !connected)
    return connected;
  const auto replies = writing(redis, entry, bytes).run(redis.connection, until);
  if (!replies)
    return failure{replies.error()};
  const auto error = first_error_in(**replies);
  if (!error)
    return std::monostate{};
  // Something else is under one of our names. The rest was done, and would be found in some ways only.
  ++redis.counters.n_damaged;
  redis_pipeline undo;
  undo.add({"DEL", redis.keys.entry(to_hex(entry.exact))});
  (void)redis.connection.run(undo, until);
  return failure{std::string{*error}};
}

result<std::monostate> remove_entry(redis_access& redis, const key_digest& exact, deadline until) {
  const auto entry = read_entry(redis, exact, at_any_time, until);
  if (!entry)
    return failure{entry.error()};
  const auto hex = to_hex(exact);
  redis_removal removal{redis};
  removal.add_entry(hex);
  if (*entry) {
    const owned_entry owned{hex, vector_set_of(redis, **entry)};
    removal.add_listed(redis.keys.owner((*entry)->owner), owned.text());
    if (!owned.vector_set.empty())
      removal.add_vector(owned);
  }
  const auto n_removed = removal.run(until);
  if (!n_removed)
    return failure{n_removed.error()};
  return std::monostate{};
}

result<std::size_t> remove_owned(redis_access& redis, const key_digest& owner, deadline until) {
  constexpr std::size_t n_at_once = 512;
  const auto key = redis.keys.owner(owner);
  redis_pipeline look;
  look.add({"ZRANGE", key, "0", std::to_string(n_at_once - 1)});
  std::size_t n_removed = 0;
  while (true) {
    const auto members = redis.ask(look, until);
    if (!members)
      return failure{members.error()};
    if (items_of(**members).empty())
      break;
    auto n = remove_listed(redis, key, **members, until);
    if (!n)
      return n;
    n_removed += *n;
  }
  const auto may_be_more = may_drop_any_key(redis, until);
  if (!may_be_more)
    return failure{may_be_more.error()};
  if (*may_be_more)
    return failure{
        "the server's maxmemory-policy lets it drop the list of who owns what, so some entries may be "
        "left: use noeviction or one of volatile-*"};
  return n_removed;
}

void sweep_expired(redis_access& redis, const key_digest& owner, unix_seconds now_s, deadline until) {
  constexpr std::string_view n_at_once = "64";
  const auto key = redis.keys.owner(owner);
  redis_pipeline look;
  look.add({"WATCH", key}); // so that nothing goes that was put again meanwhile
  look.add({"ZRANGEBYSCORE", key, "-inf", std::to_string(now_s), "LIMIT", "0", n_at_once});
  const auto expired = redis.ask(look, until);
  redis_transaction transaction; // of nothing, if that failed: it ends the watch
  for (const auto* member : expired ? items_of(**expired) : std::span<redisReply* const>{}) {
    const auto text = text_of(*member).value_or("");
    transaction.commands().add({"ZREM", key, text});
    const auto owned = owned_entry::parse(text);
    if (owned && !owned->vector_set.empty())
      remove_vector(transaction.commands(), redis.keys.vectors(owned->vector_set), owned->exact_hex);
  }
  (void)transaction.run(redis.connection, until);
}

} // namespace souffleur
