#include "engine/cache/sqlite_database.hpp"

#include <sqlite3.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <unistd.h>

namespace souffleur {

namespace {

/// SQLite would make it readable by all. It is closed before it has its name: closing a file takes away the
/// locks that the process has on it. False with errno if that fails.
bool make_file(const std::string& path) {
  if (const auto folder = std::filesystem::path{path}.parent_path(); !folder.empty()) {
    std::error_code ignored;
    std::filesystem::create_directories(folder, ignored);
  }
  auto unnamed = path + ".XXXXXX";
  const int descriptor = ::mkstemp(unnamed.data());
  if (descriptor < 0)
    return false;
  ::close(descriptor);
  const bool is_made = ::link(unnamed.c_str(), path.c_str()) == 0 || errno == EEXIST;
  const int why = errno;
  ::unlink(unnamed.c_str());
  errno = why;
  return is_made;
}

/// SQLite takes less than a page for an empty database.
bool is_too_short(const std::string& path) {
  std::error_code ignored;
  const auto n_bytes = std::filesystem::file_size(path, ignored);
  return n_bytes > 0 && n_bytes < 512;
}

} // namespace

void sqlite_database::closer::operator()(sqlite3* connection) const { sqlite3_close(connection); }

result<sqlite_database> sqlite_database::open(const std::string& path, int busy_timeout_ms) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored) && !make_file(path))
    return failure{path + ": cannot be made: " + std::strerror(errno)};
  if (is_too_short(path))
    return failure{path + ": is no SQLite database"};
  sqlite3* connection = nullptr;
  const int code =
      sqlite3_open_v2(path.c_str(), &connection, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
  sqlite_database database{connection};
  if (code != SQLITE_OK)
    return failure{path + ": cannot be opened: " + sqlite3_errstr(code)};
  if (sqlite3_db_readonly(connection, "main") != 0)
    return failure{path + ": may be read only"};
  sqlite3_busy_timeout(connection, busy_timeout_ms);
  return database;
}

bool sqlite_database::run(const char* statements) {
  return sqlite3_exec(connection_.get(), statements, nullptr, nullptr, nullptr) == SQLITE_OK;
}

void sqlite_database::leave_log_alone() {
  sqlite3_db_config(connection_.get(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
}

std::string sqlite_database::error() const { return sqlite3_errmsg(connection_.get()); }
bool sqlite_database::is_other_format() const { return sqlite3_errcode(connection_.get()) == SQLITE_NOTADB; }

void sqlite_statement::finisher::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }

sqlite_statement::sqlite_statement(const sqlite_database& database, std::string_view text, std::nullptr_t) {
  sqlite3_stmt* statement = nullptr;
  has_failed_ = sqlite3_prepare_v2(database.connection_.get(), text.data(), static_cast<int>(text.size()),
                                   &statement, nullptr) != SQLITE_OK;
  statement_.reset(statement);
}

void sqlite_statement::bind(int index, std::int64_t number) {
  has_failed_ = has_failed_ || sqlite3_bind_int64(statement_.get(), index, number) != SQLITE_OK;
}

void sqlite_statement::bind(int index, std::string_view bytes) {
  has_failed_ = has_failed_ || sqlite3_bind_blob64(statement_.get(), index, bytes.data(), bytes.size(),
                                                   SQLITE_TRANSIENT) != SQLITE_OK;
}

bool sqlite_statement::next() {
  if (has_failed_)
    return false;
  const int code = sqlite3_step(statement_.get());
  has_failed_ = code != SQLITE_ROW && code != SQLITE_DONE;
  return code == SQLITE_ROW;
}

bool sqlite_statement::run() {
  while (next()) {
  }
  return !has_failed_;
}

std::int64_t sqlite_statement::number(int column) const {
  return sqlite3_column_int64(statement_.get(), column);
}

std::string_view sqlite_statement::bytes(int column) const {
  const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement_.get(), column));
  const int n = sqlite3_column_bytes(statement_.get(), column);
  return bytes == nullptr ? std::string_view{} : std::string_view{bytes, static_cast<std::size_t>(n)};
}

bool sqlite_statement::is_null(int column) const {
  return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL;
}

sqlite_transaction::sqlite_transaction(sqlite_database& database)
    : database_(database), is_open_(database.run("BEGIN IMMEDIATE")) {}

sqlite_transaction::~sqlite_transaction() {
  if (is_open_)
    database_.run("ROLLBACK");
}

bool sqlite_transaction::commit() {
  if (!is_open_)
    return false;
  is_open_ = !database_.run("COMMIT"); // if not, it is still to be rolled back
  return !is_open_;
}

} // namespace souffleur
