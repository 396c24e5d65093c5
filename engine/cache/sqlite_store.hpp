// Answers in one SQLite file: the store of a server that shares with nobody, and needs no other program.
#pragma once

#include "engine/cache/answer_store.hpp"
#include "engine/cache/sqlite_database.hpp"

#include <cstdint>
#include <memory>
#include <string>

namespace souffleur {

struct sqlite_store_options {
  std::string path;
  std::uint64_t max_bytes = std::uint64_t{256} << 20; ///< of the file; its log may take some MiB more
  int busy_timeout_ms = 2000; ///< that a call waits while another process writes to the file
};

/// Several processes may have the file open: each sees what the others did in `changes_since`. What is
/// written survives a killed process; a machine that loses its power may lose the last seconds, and nothing
/// else.
///
/// When the file is full, those go first that expire first, and others are not told. What was erased leaves a
/// row without its answer until it would have expired, from which others learn that it is gone. Erased
/// answers are overwritten.
class sqlite_store final : public answer_store {
public:
  /// The file is made if there is none, and brought up to date if it is of an older format. Refused, and not
  /// touched: a file of a newer format, another program's database, and what is no database at all.
  static result<std::unique_ptr<answer_store>> open(const sqlite_store_options& options);

  std::string_view name() const override { return "sqlite"; }
  result<std::optional<cache_entry>> get(const key_digest& exact, unix_seconds now_s) override;
  result<std::monostate> put(const cache_entry& entry) override;
  result<std::monostate> erase(const key_digest& exact) override;
  result<std::size_t> forget(const key_digest& owner) override;
  result<store_changes> changes_since(const std::string& position, std::size_t n_most,
                                      unix_seconds now_s) override;
  /// Entries and bytes are those of the file, with what has expired and not been removed yet.
  store_counters counters() const override;

private:
  sqlite_store(sqlite_database database, const sqlite_store_options& options)
      : database_(std::move(database)), options_(options) {}

  failure failed(const std::string& what);
  failure too_large(std::size_t n_bytes);
  std::uint64_t taken_bytes() const;
  std::uint64_t used_bytes() const;
  bool insert(const cache_entry& entry, std::string_view bytes);
  bool make_room(std::uint64_t n_bytes);
  bool give_back_room();
  bool remove_expired();
  result<std::size_t> remove(std::string_view which, const key_digest& name);
  std::optional<cache_entry> entry_in(const sqlite_statement& row);
  void drop_damaged(std::int64_t sequence);

  sqlite_database database_;
  sqlite_store_options options_;
  unix_seconds now_s_ = 0; ///< the latest that a caller has named
  store_counters counters_;
};

/// $XDG_CACHE_HOME/souffleur/answers.db, by default ~/.cache/souffleur/answers.db.
std::string default_store_file();

} // namespace souffleur
