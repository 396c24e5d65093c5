#include "engine/cache/redis/change_reader.hpp"

#include "engine/cache/redis/change_log.hpp"
#include "engine/cache/redis/entry_reader.hpp"

#include <algorithm>
#include <utility>

namespace souffleur {

namespace {

class change_reader {
public:
  change_reader(redis_access& redis, std::size_t n_most, unix_seconds now_s, deadline until)
      : redis_(redis), n_most_(std::max<std::size_t>(n_most, 1)), now_s_(now_s), until_(until) {}

  /// What is put or erased while the entries are read is in the log behind the record that is now its last.
  result<store_changes> first_entries() {
    redis_pipeline command;
    command.add({"XREVRANGE", redis_.keys.changes(), "+", "-", "COUNT", "1"});
    const auto reply = redis_.ask(command, until_);
    if (!reply)
      return failure{reply.error()};
    change_position begin{redis_.connection.server().run_id, "0", std::string{change_position::before_all}};
    if (const auto last = changes_of(**reply); last && !last->last_id.empty())
      begin.last_id = last->last_id;
    auto found = more_entries(begin);
    if (found)
      found->starts_over = true;
    return found;
  }

  result<store_changes> more_entries(change_position position) {
    redis_pipeline command;
    command.add(
        {"SCAN", position.cursor, "MATCH", redis_.keys.entry_pattern(), "COUNT", std::to_string(n_most_)});
    const auto reply = redis_.ask(command, until_);
    if (!reply)
      return failure{reply.error()};
    if (redis_.connection.server().run_id != position.run_id) // its cursor means nothing to this one
      return first_entries();
    const auto parts = items_of(**reply);
    if (parts.size() != 2)
      return failure{"the reply to SCAN is none"};
    std::vector<key_digest> exact;
    for (const auto* key : items_of(*parts[1]))
      if (const auto digest = digest_from_hex(redis_.keys.exact_of(text_of(*key).value_or(""))))
        exact.push_back(*digest);
    auto entries = read_entries(redis_, exact, now_s_, until_);
    if (!entries)
      return failure{entries.error()};
    std::ranges::stable_sort(*entries, {}, [](const auto& entry) { return entry->created_s; });
    const auto cursor = text_of(*parts[0]).value_or("0");
    position.cursor = cursor == "0" ? "" : cursor;
    store_changes changes;
    changes.added = std::move(*entries);
    changes.position = position.text();
    return changes;
  }

  result<store_changes> later_changes(change_position position) {
    const auto key = redis_.keys.changes();
    redis_pipeline commands;
    commands.add({"XRANGE", key, position.last_id, position.last_id});
    commands.add({"XLEN", key});
    commands.add({"XRANGE", key, "(" + position.last_id, "+", "COUNT", std::to_string(n_most_)});
    const auto replies = redis_.connection.run(commands, until_);
    if (!replies)
      return failure{replies.error()};
    if (const auto error = error_of(*replies->back()))
      return failure{std::string{*error}};
    if (is_lost(position, *(*replies)[0], *(*replies)[1]))
      return first_entries();
    return changes_in(changes_of(*replies->back()).value_or(logged_changes{}), std::move(position));
  }

private:
  /// Whether records after `position` may have been dropped: the one that it stands at is not there.
  bool is_lost(const change_position& position, const redisReply& own_record,
               const redisReply& length) const {
    if (position.last_id != change_position::before_all)
      return items_of(own_record).empty();
    return redis_.connection.server().run_id != position.run_id ||
           std::cmp_greater_equal(integer_of(length).value_or(0), redis_.options.max_changes);
  }

  result<store_changes> changes_in(const logged_changes& log, change_position position) {
    redis_.counters.n_damaged += log.n_damaged;
    store_changes changes;
    std::vector<key_digest> added;
    for (const auto& each : log.changes)
      (each.change == entry_change::added ? added : changes.removed).push_back(each.exact);
    auto entries = read_entries(redis_, added, now_s_, until_);
    if (!entries)
      return failure{entries.error()};
    changes.added = std::move(*entries);
    // What was put but is not there has expired or was erased since; what it replaced is gone, too.
    auto found = changes.added.begin();
    for (const auto& exact : added)
      if (found != changes.added.end() && (*found)->exact == exact)
        ++found;
      else
        changes.removed.push_back(exact);
    if (!log.last_id.empty())
      position.last_id = log.last_id;
    changes.position = position.text();
    changes.is_all = log.n_records < n_most_;
    return changes;
  }

  redis_access& redis_;
  std::size_t n_most_;
  unix_seconds now_s_;
  deadline until_;
};

} // namespace

result<store_changes> read_changes(redis_access& redis, const std::string& position, std::size_t n_most,
                                   unix_seconds now_s, deadline until) {
  change_reader reader{redis, n_most, now_s, until};
  const auto from = change_position::parse(position);
  if (!from)
    return reader.first_entries();
  return from->cursor.empty() ? reader.later_changes(*from) : reader.more_entries(*from);
}

} // namespace souffleur
