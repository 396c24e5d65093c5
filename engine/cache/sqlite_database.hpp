// What a store needs of SQLite, owned and given back.
#pragma once

#include "engine/result.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

namespace souffleur {

/// A connection to a file. One thread at a time.
class sqlite_database {
public:
  /// Makes the file (readable by its owner alone) and its folder if there are none; nothing is read yet. A
  /// statement waits for other connections for no longer than `busy_timeout_ms`.
  static result<sqlite_database> open(const std::string& path, int busy_timeout_ms);

  /// Statements without values; rows are dropped. False if one of them fails; those before it are done.
  bool run(const char* statements);
  /// What closing does to a write-ahead log that another process left: nothing.
  void leave_log_alone();

  /// Why the last call failed.
  std::string error() const;
  bool is_other_format() const; ///< it failed since the file is no database

private:
  friend class sqlite_statement;
  struct closer {
    void operator()(sqlite3* connection) const;
  };
  explicit sqlite_database(sqlite3* connection) : connection_(connection) {}

  std::unique_ptr<sqlite3, closer> connection_;
};

/// One statement, its values bound (?1, ?2, …) and its rows read one after the other.
class sqlite_statement {
public:
  template <class... Values>
  sqlite_statement(const sqlite_database& database, std::string_view text, const Values&... values)
      : sqlite_statement(database, text, nullptr) {
    int index = 0;
    (bind(++index, values), ...);
  }

  /// Whether there is a row; not at the end, nor when it failed.
  bool next();
  /// To the end. False if it failed.
  bool run();
  bool has_failed() const { return has_failed_; }

  std::int64_t number(int column) const;
  /// Valid until the next row.
  std::string_view bytes(int column) const;
  bool is_null(int column) const;

private:
  struct finisher {
    void operator()(sqlite3_stmt* statement) const;
  };
  sqlite_statement(const sqlite_database& database, std::string_view text, std::nullptr_t);
  void bind(int index, std::int64_t number);
  void bind(int index, std::string_view bytes);

  std::unique_ptr<sqlite3_stmt, finisher> statement_;
  bool has_failed_ = false;
};

/// All or nothing: undone unless committed. Begins as a writer, so it waits for others here and nowhere
/// later.
class sqlite_transaction {
public:
  explicit sqlite_transaction(sqlite_database& database);
  ~sqlite_transaction();
  sqlite_transaction(const sqlite_transaction&) = delete;
  sqlite_transaction& operator=(const sqlite_transaction&) = delete;

  bool has_begun() const { return is_open_; }
  bool commit();

private:
  sqlite_database& database_;
  bool is_open_;
};

} // namespace souffleur
