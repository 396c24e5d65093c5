#include "engine/cache/sqlite_store.hpp"

#include "engine/cache/entry_codec.hpp"
#include "engine/cache/sqlite_schema.hpp"

#include <algorithm>
#include <charconv>
#include <cstdlib>

namespace souffleur {

namespace {

/// A new row may split pages of the table and of its indices.
constexpr std::uint64_t row_overhead_bytes = 8 * 4096;
/// Of a file without rows, at most.
constexpr std::uint64_t empty_file_bytes = 16 * 4096;
/// Removed by one put.
constexpr std::int64_t most_expired = 64;

std::string_view view_of(const key_digest& digest) {
  return {reinterpret_cast<const char*>(digest.bytes.data()), digest.bytes.size()};
}

/// Positions are sequence numbers; before the first of them for any other text.
std::int64_t sequence_at(const std::string& position) {
  std::int64_t sequence = 0;
  std::from_chars(position.data(), position.data() + position.size(), sequence);
  return sequence;
}

} // namespace

std::string default_store_file() {
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache != nullptr && *cache != '\0')
    return std::string{cache} + "/souffleur/answers.db";
  const char* home = std::getenv("HOME");
  return std::string{home != nullptr ? home : "."} + "/.cache/souffleur/answers.db";
}

result<std::unique_ptr<answer_store>> sqlite_store::open(const sqlite_store_options& options) {
  auto database = sqlite_database::open(options.path, options.busy_timeout_ms);
  if (!database)
    return failure{database.error()};
  if (const auto objection = prepare_sqlite_schema(*database))
    return failure{options.path + ": " + *objection};
  auto opened = std::unique_ptr<sqlite_store>(new sqlite_store(std::move(*database), options));
  if (!opened->give_back_room())
    return opened->failed("cannot be made smaller");
  return std::unique_ptr<answer_store>(std::move(opened));
}

result<std::optional<cache_entry>> sqlite_store::get(const key_digest& exact, unix_seconds now_s) {
  now_s_ = std::max(now_s_, now_s);
  ++counters_.n_reads;
  sqlite_statement row{database_,
                       "SELECT sequence, exact, owner, expires_s, entry FROM entries "
                       "WHERE exact = ?1 AND expires_s > ?2 AND entry IS NOT NULL",
                       view_of(exact), now_s};
  if (!row.next()) {
    if (row.has_failed())
      return failed("cannot be read");
    counters_.is_reachable = true;
    return std::optional<cache_entry>{};
  }
  counters_.is_reachable = true;
  auto found = entry_in(row);
  const auto sequence = row.number(0);
  counters_.n_found += found ? 1 : 0;
  if (!found)
    drop_damaged(sequence);
  return found;
}

result<std::monostate> sqlite_store::put(const cache_entry& entry) {
  const auto bytes = encode_entry(entry);
  if (empty_file_bytes + bytes.size() + row_overhead_bytes > options_.max_bytes)
    return too_large(bytes.size());
  sqlite_transaction change{database_};
  if (!change.has_begun() || !remove_expired() || !make_room(bytes.size() + row_overhead_bytes) ||
      !insert(entry, bytes) || !change.commit())
    return failed("cannot be written");
  ++counters_.n_writes;
  counters_.is_reachable = true;
  return std::monostate{};
}

bool sqlite_store::insert(const cache_entry& entry, std::string_view bytes) {
  constexpr auto text = "INSERT OR REPLACE INTO entries (exact, owner, expires_s, known_until_s, entry) "
                        "VALUES (?1, ?2, ?3, "
                        "max(?3, coalesce((SELECT known_until_s FROM entries WHERE exact = ?1), ?3)), ?4)";
  return sqlite_statement{database_, text, view_of(entry.exact), view_of(entry.owner), entry.expires_s, bytes}
      .run();
}

result<std::monostate> sqlite_store::erase(const key_digest& exact) {
  const auto n_removed = remove("exact", exact);
  return n_removed ? result<std::monostate>{std::monostate{}} : failure{n_removed.error()};
}

result<std::size_t> sqlite_store::forget(const key_digest& owner) {
  auto n_removed = remove("owner", owner);
  // The log holds what was written lately. Where others are in the way, they do this by and by.
  if (n_removed && *n_removed > 0)
    database_.run("PRAGMA incremental_vacuum; PRAGMA wal_checkpoint(TRUNCATE)");
  return n_removed;
}

result<std::size_t> sqlite_store::remove(std::string_view which, const key_digest& name) {
  sqlite_transaction change{database_};
  if (!change.has_begun())
    return failed("cannot be written");
  sqlite_statement mark{database_,
                        "INSERT OR REPLACE INTO entries (exact, owner, expires_s, known_until_s, entry) "
                        "SELECT exact, owner, expires_s, known_until_s, NULL FROM entries WHERE " +
                            std::string{which} + " = ?1 AND entry IS NOT NULL RETURNING 1",
                        view_of(name)};
  std::size_t n_removed = 0;
  while (mark.next())
    ++n_removed;
  if (mark.has_failed() || !change.commit())
    return failed("cannot be written");
  counters_.is_reachable = true;
  return n_removed;
}

result<store_changes> sqlite_store::changes_since(const std::string& position, std::size_t n_most,
                                                  unix_seconds now_s) {
  now_s_ = std::max(now_s_, now_s);
  store_changes changes;
  changes.position = position;
  std::vector<std::int64_t> damaged;
  std::size_t n_rows = 0;
  {
    sqlite_statement row{database_,
                         "SELECT sequence, exact, owner, expires_s, entry FROM entries "
                         "WHERE sequence > ?1 AND known_until_s > ?2 ORDER BY sequence LIMIT ?3",
                         sequence_at(position), now_s, static_cast<std::int64_t>(n_most)};
    for (; row.next(); ++n_rows) {
      changes.position = std::to_string(row.number(0));
      if (row.is_null(4) || row.number(3) <= now_s) {
        if (row.bytes(1).size() == sizeof(key_digest)) {
          auto& removed = changes.removed.emplace_back();
          std::copy_n(row.bytes(1).data(), sizeof(key_digest), removed.bytes.data());
        }
      } else if (auto entry = entry_in(row)) {
        changes.added.push_back(std::make_shared<const cache_entry>(std::move(*entry)));
      } else {
        damaged.push_back(row.number(0));
      }
    }
    if (row.has_failed())
      return failed("cannot be read");
  }
  counters_.is_reachable = true;
  for (const auto sequence : damaged)
    drop_damaged(sequence);
  changes.is_all = n_rows < n_most;
  return changes;
}

store_counters sqlite_store::counters() const {
  auto counters = counters_;
  counters.n_bytes = used_bytes();
  if (sqlite_statement row{database_, "SELECT n_entries FROM totals"}; row.next())
    counters.n_entries = static_cast<std::uint64_t>(row.number(0));
  return counters;
}

failure sqlite_store::too_large(std::size_t n_bytes) {
  ++counters_.n_failures;
  return failure{options_.path + ": an answer of " + std::to_string(n_bytes) + " bytes has no room in " +
                 std::to_string(options_.max_bytes)};
}

/// Counts it; the file and SQLite's reason are said.
failure sqlite_store::failed(const std::string& what) {
  ++counters_.n_failures;
  counters_.is_reachable = false;
  return failure{options_.path + ": " + what + ": " + database_.error()};
}

/// Of the file.
std::uint64_t sqlite_store::taken_bytes() const {
  sqlite_statement row{database_, "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"};
  return row.next() ? static_cast<std::uint64_t>(row.number(0)) : 0;
}

/// Without what is free in it.
std::uint64_t sqlite_store::used_bytes() const {
  sqlite_statement row{database_, "SELECT (page_count - freelist_count) * page_size "
                                  "FROM pragma_page_count, pragma_freelist_count, pragma_page_size"};
  return row.next() ? static_cast<std::uint64_t>(row.number(0)) : 0;
}

/// Removes those that expire first. False if `n_bytes` find no room even so.
bool sqlite_store::make_room(std::uint64_t n_bytes) {
  while (used_bytes() + n_bytes > options_.max_bytes) {
    sqlite_statement first{database_, "DELETE FROM entries WHERE sequence = (SELECT sequence FROM entries "
                                      "ORDER BY known_until_s, sequence LIMIT 1) RETURNING 1"};
    if (!first.next() || !first.run())
      return false;
  }
  return true;
}

/// After the bound has become lower.
bool sqlite_store::give_back_room() {
  if (taken_bytes() <= options_.max_bytes)
    return true;
  sqlite_transaction change{database_};
  if (change.has_begun())
    make_room(0); // in vain if the bound is lower than an empty file is large
  return change.commit() && database_.run("PRAGMA incremental_vacuum");
}

bool sqlite_store::remove_expired() {
  return sqlite_statement{database_,
                          "DELETE FROM entries WHERE sequence IN (SELECT sequence FROM entries "
                          "WHERE known_until_s <= ?1 ORDER BY known_until_s LIMIT ?2)",
                          now_s_, most_expired}
      .run();
}

/// Of columns sequence, exact, owner, expires_s, entry. Nothing, and counted, if they are not of one piece.
std::optional<cache_entry> sqlite_store::entry_in(const sqlite_statement& row) {
  auto entry = decode_entry(row.bytes(4));
  if (entry && view_of(entry->exact) == row.bytes(1) && view_of(entry->owner) == row.bytes(2) &&
      entry->expires_s == row.number(3))
    return entry;
  ++counters_.n_damaged;
  return std::nullopt;
}

/// It would be read in vain again and again. That it cannot be removed now does no harm.
void sqlite_store::drop_damaged(std::int64_t sequence) {
  sqlite_statement{database_, "DELETE FROM entries WHERE sequence = ?1", sequence}.run();
}

} // namespace souffleur
