#include "engine/cache/redis/removal.hpp"

#include "engine/cache/redis/change_log.hpp"
#include "engine/cache/redis/vector_sets.hpp"

namespace souffleur {

void redis_removal::unlink_entries(redis_pipeline& to, std::string_view command) const {
  std::vector<std::string> keys;
  for (const auto& exact : entries_)
    keys.push_back(redis_.keys.entry(exact));
  std::vector<std::string_view> words{command};
  words.insert(words.end(), keys.begin(), keys.end());
  to.add(words);
}

result<std::size_t> redis_removal::run_as_one(deadline until) const {
  redis_transaction transaction;
  auto& commands = transaction.commands();
  for (const auto& set : vector_sets_)
    commands.add({"UNLINK", redis_.keys.vectors(set)});
  for (const auto& each : vectors_)
    remove_vector(commands, redis_.keys.vectors(each.vector_set), each.exact_hex);
  for (const auto& [key, member] : listed_)
    commands.add({"ZREM", key, member});
  for (const auto& exact : entries_)
    log_change(commands, redis_.keys.changes(), entry_change::removed, exact, redis_.options.max_changes);
  if (!entries_.empty())
    unlink_entries(commands, "UNLINK");
  const auto replies = transaction.run(redis_.connection, until);
  if (!replies)
    return failure{replies.error()};
  if (const auto error = first_error_in(**replies))
    return failure{std::string{*error}};
  if (entries_.empty())
    return std::size_t{0};
  return static_cast<std::size_t>(integer_of(*items_of(**replies).back()).value_or(0));
}

result<std::size_t> redis_removal::run(deadline until) {
  auto n_removed = run_as_one(until);
  // A full server lets nobody add to the log; not before there is room, which the entries give.
  if (n_removed || entries_.empty() || !n_removed.error().starts_with("OOM"))
    return n_removed;
  redis_pipeline commands;
  unlink_entries(commands, "DEL");
  const auto reply = redis_.ask(commands, until);
  if (!reply)
    return failure{reply.error()};
  if (const auto rest = run_as_one(until); !rest)
    return rest;
  return static_cast<std::size_t>(integer_of(**reply).value_or(0));
}

} // namespace souffleur
