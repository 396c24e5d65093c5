#include "engine/cache/sqlite_schema.hpp"

#include <array>

namespace souffleur {

namespace {

constexpr std::int64_t application = 0x53464341; // "SFCA"

/// Each makes the format of its place in the list (from 1) out of the one before. What has been released is
/// never changed: files of that format exist.
constexpr std::array migrations = {
    // `sequence` is the order of what happened. An erased entry is a row without `entry`. Until
    // `known_until_s`,
    // others may know an entry with this key, be it a predecessor.
    R"(CREATE TABLE entries (
         sequence INTEGER PRIMARY KEY AUTOINCREMENT,
         exact BLOB NOT NULL UNIQUE,
         owner BLOB NOT NULL,
         expires_s INTEGER NOT NULL,
         known_until_s INTEGER NOT NULL,
         entry BLOB);
       CREATE INDEX entries_by_owner ON entries (owner) WHERE entry IS NOT NULL;
       CREATE INDEX entries_by_expiry ON entries (known_until_s);
       PRAGMA application_id = 1397113665;)",
    // Counting the rows of a large file takes long.
    R"(CREATE TABLE totals (n_entries INTEGER NOT NULL);
       INSERT INTO totals SELECT count(*) FROM entries WHERE entry IS NOT NULL;
       CREATE TRIGGER count_added AFTER INSERT ON entries WHEN NEW.entry IS NOT NULL
         BEGIN UPDATE totals SET n_entries = n_entries + 1; END;
       CREATE TRIGGER count_removed AFTER DELETE ON entries WHEN OLD.entry IS NOT NULL
         BEGIN UPDATE totals SET n_entries = n_entries - 1; END;)",
};

struct file_format {
  std::int64_t version = 0;
  std::int64_t application = 0;
  bool is_empty = false;
};

std::optional<file_format> format_of(const sqlite_database& database) {
  sqlite_statement row{database, "SELECT user_version, application_id, (SELECT count(*) FROM sqlite_schema) "
                                 "FROM pragma_user_version, pragma_application_id"};
  if (!row.next())
    return std::nullopt;
  return file_format{row.number(0), row.number(1), row.number(2) == 0};
}

std::string unreadable(const sqlite_database& database) {
  return database.is_other_format() ? "is no SQLite database" : "cannot be read: " + database.error();
}

std::optional<std::string> objection_to(const file_format& found) {
  if (found.application != application && !found.is_empty)
    return "is the database of another program";
  if (found.version > newest_sqlite_schema())
    return "is of a newer format (" + std::to_string(found.version) + ") than this program knows (" +
           std::to_string(newest_sqlite_schema()) + ")";
  return std::nullopt;
}

bool migrate(sqlite_database& database, std::int64_t from) {
  for (auto version = static_cast<std::size_t>(from); version < migrations.size(); ++version)
    if (!database.run(migrations[version]))
      return false;
  return database.run(("PRAGMA user_version = " + std::to_string(migrations.size())).c_str());
}

} // namespace

int newest_sqlite_schema() { return static_cast<int>(migrations.size()); }

std::optional<std::string> prepare_sqlite_schema(sqlite_database& database) {
  auto found = format_of(database);
  if (!found)
    return unreadable(database);
  if (auto objection = objection_to(*found)) {
    database.leave_log_alone();
    return objection;
  }
  // Only what is not in use yet can be made to give back room.
  if (found->is_empty && !database.run("PRAGMA auto_vacuum = INCREMENTAL"))
    return "cannot be prepared: " + database.error();
  if (!database.run(
          "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = 4194304;"
          "PRAGMA trusted_schema = OFF; PRAGMA secure_delete = ON; PRAGMA recursive_triggers = ON"))
    return "cannot be written: " + database.error();
  if (found->version == newest_sqlite_schema())
    return std::nullopt;
  sqlite_transaction change{database};
  // Another process may have been faster.
  found = change.has_begun() ? format_of(database) : std::nullopt;
  if (!found || !migrate(database, found->version) || !change.commit())
    return "cannot be brought up to date: " + database.error();
  return std::nullopt;
}

} // namespace souffleur
