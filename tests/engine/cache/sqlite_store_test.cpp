// Answers in a file: against a map, over restarts, other formats, damage, full disks and killed writers.
#include "engine/cache/sqlite_store.hpp"

#include "engine/cache/entry_codec.hpp"
#include "engine/cache/sqlite_schema.hpp"
#include "tests/engine/cache/store_laws.hpp"
#include "tests/engine/scratch_folder.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <sqlite3.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <fstream>
#include <iterator>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace souffleur {
namespace {

using testing::any_entry;
using testing::digest_numbered;
using testing::is_same;
using testing::law_entry;
using testing::law_key;
using testing::law_owner;
using testing::memory_or_disk;
using testing::scratch_folder;

std::string file_in(const scratch_folder& folder) { return (folder.path() / "answers.db").string(); }

std::unique_ptr<answer_store> opened(const std::string& path, std::uint64_t max_bytes = 64 << 20,
                                     int busy_timeout_ms = 1000) {
  auto store = sqlite_store::open({path, max_bytes, busy_timeout_ms});
  EXPECT_TRUE(store.ok()) << (store.ok() ? "" : store.error());
  return store ? std::move(*store) : nullptr;
}

std::string objection_to(const std::string& path) {
  const auto store = sqlite_store::open({path});
  return store ? "" : store.error();
}

std::string content_of(const std::string& path) {
  std::ifstream file{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{file}, {}};
}

/// As anybody with the file may do.
void change(const std::string& path, const std::string& statements) {
  sqlite3* connection = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &connection), SQLITE_OK);
  EXPECT_EQ(sqlite3_exec(connection, statements.c_str(), nullptr, nullptr, nullptr), SQLITE_OK)
      << sqlite3_errmsg(connection);
  sqlite3_close(connection);
}

bool holds(answer_store& store, const cache_entry& entry, unix_seconds now_s = 0) {
  const auto found = store.get(entry.exact, now_s);
  return found && *found && is_same(**found, entry);
}

bool holds_nothing(answer_store& store, std::uint64_t key, unix_seconds now_s = 0) {
  const auto found = store.get(law_key(key), now_s);
  return found && !*found;
}

/// With an answer of so many bytes.
cache_entry large_entry(std::uint64_t key, std::uint64_t n_bytes, unix_seconds expires_s) {
  auto entry = law_entry(key, key, 0, expires_s);
  entry.answer = std::make_shared<const cached_answer>(cached_answer{{}, std::string(n_bytes, 'x'), ""});
  return entry;
}

class file_size_limit {
public:
  explicit file_size_limit(std::uint64_t n_bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &before_);
    auto now = before_;
    now.rlim_cur = n_bytes;
    setrlimit(RLIMIT_FSIZE, &now);
  }
  ~file_size_limit() {
    setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }
  file_size_limit(const file_size_limit&) = delete;
  file_size_limit& operator=(const file_size_limit&) = delete;

private:
  rlimit before_{};
  void (*handler_)(int);
};

} // namespace

// C2, C3.
RC_GTEST_PROP(SqliteStore, IsLikeAMapAlsoForAnotherProcess, ()) {
  const scratch_folder folder{memory_or_disk()};
  testing::check_store_against_a_map([&] { return opened(file_in(folder)); });
}

RC_GTEST_PROP(SqliteStore, KeepsEveryFieldOfAnEntry, ()) {
  const scratch_folder folder{memory_or_disk()};
  auto entry = any_entry();
  entry.expires_s = std::max<unix_seconds>(entry.expires_s, 1);
  RC_ASSERT(opened(file_in(folder))->put(entry).ok());
  RC_ASSERT(holds(*opened(file_in(folder)), entry));
}

// C13.
RC_GTEST_PROP(SqliteStore, IsNeverLargerThanItMayBeAndRemovesFirstWhatExpiresFirst, ()) {
  const scratch_folder folder{memory_or_disk()};
  auto max_bytes = *rc::gen::inRange<std::uint64_t>(200'000, 600'000);
  auto store = opened(file_in(folder), max_bytes);
  std::map<unix_seconds, cache_entry> there;
  const auto forget_what_has_gone = [&] {
    unix_seconds last_gone_s = 0;
    std::erase_if(there, [&](const auto& one) {
      const bool is_gone = !holds(*store, one.second);
      last_gone_s = is_gone ? one.first : last_gone_s;
      return is_gone;
    });
    RC_ASSERT((there.empty() || last_gone_s <= there.begin()->first));
  };
  const auto n_puts = *rc::gen::inRange<std::uint64_t>(1, 60);
  for (std::uint64_t key = 0; key < n_puts; ++key) {
    const auto expires_s =
        static_cast<unix_seconds>(1 + key + 1000 * *rc::gen::inRange<std::uint64_t>(0, 99));
    const auto entry = large_entry(key, *rc::gen::inRange<std::uint64_t>(0, 60'000), expires_s);
    RC_ASSERT(store->put(entry).ok());
    forget_what_has_gone();
    there[expires_s] = entry;
    RC_ASSERT(there.size() == store->counters().n_entries);
    RC_ASSERT(store->counters().n_bytes <= max_bytes);
    RC_ASSERT(std::filesystem::file_size(file_in(folder)) <= max_bytes);
    if (*rc::gen::inRange(0, 20) == 0 && max_bytes > 270'000) {
      max_bytes = max_bytes * 3 / 4;
      store = nullptr;
      store = opened(file_in(folder), max_bytes);
      forget_what_has_gone();
      store = nullptr; // writes the log back
      RC_ASSERT(std::filesystem::file_size(file_in(folder)) <= max_bytes);
      store = opened(file_in(folder), max_bytes);
    }
  }
}

TEST(SqliteStore, RemovesFirstWhatExpiresFirst) {
  const scratch_folder folder;
  const auto store = opened(file_in(folder), 300'000);
  for (const std::uint64_t key : {2, 0, 3, 1})
    ASSERT_TRUE(store->put(large_entry(key, 40'000, static_cast<unix_seconds>(1000 + key))));
  ASSERT_TRUE(store->put(large_entry(8, 100'000, 500)));
  std::string there;
  for (std::uint64_t key = 0; key < 4; ++key)
    there += holds_nothing(*store, key) ? '-' : '+';
  EXPECT_TRUE(there == "--++" || there == "-+++") << there;
  EXPECT_EQ(store->counters().n_entries, there == "--++" ? 3U : 4U);
}

TEST(SqliteStore, RefusesWhatIsLargerThanTheStoreAndKeepsTheRest) {
  const scratch_folder folder;
  const auto store = opened(file_in(folder), 300'000);
  const auto small = large_entry(1, 1000, 10);
  ASSERT_TRUE(store->put(small));
  const auto refused = store->put(large_entry(2, 290'000, 10));
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().find("has no room"), std::string::npos) << refused.error();
  EXPECT_EQ(store->counters().n_failures, 1U);
  EXPECT_TRUE(holds(*store, small));
}

TEST(SqliteStore, AnEntryIsThereUntilTheSecondInWhichItExpires) {
  const scratch_folder folder;
  const auto store = opened(file_in(folder));
  const auto entry = law_entry(1, 1, 100, 50);
  ASSERT_TRUE(store->put(entry));
  EXPECT_TRUE(holds(*store, entry, 149));
  EXPECT_EQ(store->changes_since("", 10, 149)->added.size(), 1U);
  EXPECT_TRUE(holds_nothing(*store, 1, 150));
  EXPECT_EQ(store->changes_since("", 10, 150)->added.size(), 0U);
}

TEST(SqliteStore, PutsRemoveWhatHasExpired) {
  const scratch_folder folder;
  const auto store = opened(file_in(folder));
  for (std::uint64_t key = 0; key < 100; ++key)
    ASSERT_TRUE(store->put(law_entry(key, key, 100, 50)));
  EXPECT_TRUE(holds_nothing(*store, 1, 150));
  EXPECT_EQ(store->counters().n_entries, 100U);
  ASSERT_TRUE(store->put(law_entry(200, 1, 150, 50)));
  ASSERT_TRUE(store->put(law_entry(201, 1, 150, 50)));
  EXPECT_EQ(store->counters().n_entries, 2U);
}

TEST(SqliteStore, CountsWhatIsThereNotWhatWas) {
  const scratch_folder folder;
  const auto store = opened(file_in(folder));
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(store->put(law_entry(1, 1, 0, 10)));
    ASSERT_TRUE(store->put(law_entry(1, 2, 0, 10)));
    EXPECT_EQ(store->counters().n_entries, 1U);
    ASSERT_TRUE(store->erase(law_key(1)));
    ASSERT_TRUE(store->erase(law_key(1)));
    EXPECT_EQ(store->counters().n_entries, 0U);
  }
}

TEST(SqliteStore, GivesWhatItHasInTheOrderOfCreationAndInParts) {
  const scratch_folder folder;
  const auto store = opened(file_in(folder));
  for (std::uint64_t key = 0; key < 10; ++key)
    ASSERT_TRUE(store->put(law_entry(key, key, static_cast<unix_seconds>(key), 1000)));
  std::vector<unix_seconds> seen;
  std::string position;
  int n_parts = 0;
  for (bool is_all = false; !is_all; ++n_parts) {
    const auto part = store->changes_since(position, 4, 0);
    ASSERT_TRUE(part);
    for (const auto& entry : part->added)
      seen.push_back(entry->created_s);
    position = part->position;
    is_all = part->is_all;
  }
  EXPECT_EQ(n_parts, 3);
  EXPECT_EQ(seen, (std::vector<unix_seconds>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
}

TEST(SqliteStore, WhatWasForgottenIsInNoFile) {
  const scratch_folder folder;
  const auto store = opened(file_in(folder));
  for (std::uint64_t key = 0; key < 30; ++key) {
    auto entry = large_entry(key, 0, 1000);
    entry.answer = std::make_shared<const cached_answer>(cached_answer{
        {}, "the secret of tenant " + std::to_string(key % 3) + std::string(key * 300, 'x'), ""});
    ASSERT_TRUE(store->put(entry));
  }
  const auto finds = [&](const std::string& text) {
    std::string all;
    for (const auto& file : std::filesystem::directory_iterator{folder.path()})
      all += content_of(file.path().string());
    return all.find(text) != std::string::npos;
  };
  EXPECT_TRUE(finds("secret of tenant 1"));
  const auto n_forgotten = store->forget(law_owner(1));
  ASSERT_TRUE(n_forgotten);
  EXPECT_EQ(*n_forgotten, 10U);
  EXPECT_FALSE(finds("secret of tenant 1"));
  EXPECT_TRUE(finds("secret of tenant 2"));
  EXPECT_EQ(store->counters().n_entries, 20U);
}

TEST(SqliteStore, IsItsOwnersAlone) {
  const scratch_folder folder;
  const auto path = (folder.path() / "made" / "when needed" / "answers.db").string();
  const auto store = opened(path);
  ASSERT_TRUE(store->put(law_entry(1, 1, 0, 10)));
  for (const auto* end : {"", "-wal", "-shm"}) {
    struct stat status {};
    ASSERT_EQ(stat((path + end).c_str(), &status), 0) << end;
    EXPECT_EQ(status.st_mode & 0777U, 0600U) << end;
  }
}

TEST(SqliteStore, BringsAFileOfTheFirstFormatUpToDate) {
  const scratch_folder folder;
  const auto path = file_in(folder);
  const auto entry = law_entry(1, 1, 0, 10);
  {
    ASSERT_TRUE(opened(path)->put(entry));
    change(path, "DROP TRIGGER count_added; DROP TRIGGER count_removed; DROP TABLE totals;"
                 "PRAGMA user_version = 1");
  }
  const auto store = opened(path);
  EXPECT_TRUE(holds(*store, entry));
  EXPECT_EQ(store->counters().n_entries, 1U);
  ASSERT_TRUE(store->put(law_entry(2, 2, 0, 10)));
  ASSERT_TRUE(store->erase(entry.exact));
  EXPECT_EQ(store->counters().n_entries, 1U);
}

TEST(SqliteStore, DoesNotTouchAFileOfANewerFormat) {
  const scratch_folder folder;
  const auto path = file_in(folder);
  ASSERT_TRUE(opened(path)->put(law_entry(1, 1, 0, 10)));
  change(path, "PRAGMA user_version = 3");
  const auto before = content_of(path);
  const auto objection = objection_to(path);
  EXPECT_NE(objection.find(path + ": is of a newer format (3) than this program knows (2)"),
            std::string::npos)
      << objection;
  EXPECT_TRUE(content_of(path) == before);
  ASSERT_EQ(newest_sqlite_schema(), 2) << "then the versions above are other ones";
}

TEST(SqliteStore, DoesNotTouchTheDatabaseOfAnotherProgram) {
  const scratch_folder folder;
  const auto path = file_in(folder);
  change(path, "CREATE TABLE entries (a)");
  const auto before = content_of(path);
  EXPECT_NE(objection_to(path).find(path + ": is the database of another program"), std::string::npos);
  EXPECT_TRUE(content_of(path) == before);
}

TEST(SqliteStore, DoesNotTouchWhatIsNoDatabase) {
  for (const std::size_t n_bytes : {1, 10, 99, 100, 511, 512, 5000}) {
    const scratch_folder folder;
    const auto path = file_in(folder);
    std::ofstream(path) << std::string(n_bytes, 'x');
    EXPECT_NE(objection_to(path).find(path + ": is no SQLite database"), std::string::npos)
        << n_bytes << objection_to(path);
    EXPECT_TRUE(content_of(path) == std::string(n_bytes, 'x')) << n_bytes;
  }
  const scratch_folder folder;
  EXPECT_NE(objection_to(folder.path().string()).find(folder.path().string() + ": cannot be opened"),
            std::string::npos);
  EXPECT_NE(objection_to("/proc/none/answers.db").find("/proc/none/answers.db: cannot be made"),
            std::string::npos);
}

TEST(SqliteStore, IgnoresAndCountsDamagedRows) {
  const auto entry = law_entry(1, 1, 0, 10);
  auto newer = encode_entry(entry);
  ++newer[4];
  const auto other = encode_entry(law_entry(2, 1, 0, 10));
  const auto hex = [](const std::string& bytes) {
    std::string text;
    for (const char byte : bytes) {
      constexpr auto digits = "0123456789abcdef";
      text += digits[static_cast<std::uint8_t>(byte) >> 4];
      text += digits[static_cast<std::uint8_t>(byte) & 15];
    }
    return "x'" + text + "'";
  };
  for (const auto& damage :
       {std::string{"entry = substr(entry, 1, length(entry) - 1)"}, std::string{"entry = x''"},
        std::string{"entry = 'text'"}, std::string{"entry = 7"}, "entry = " + hex(newer),
        "entry = " + hex(other), std::string{"owner = x'00'"}, std::string{"expires_s = 11"}})
    for (const bool is_read_one_by_one : {true, false}) {
      const scratch_folder folder{memory_or_disk()};
      const auto path = file_in(folder);
      {
        const auto store = opened(path);
        ASSERT_TRUE(store->put(entry));
        ASSERT_TRUE(store->put(law_entry(3, 3, 0, 10)));
      }
      change(path, "UPDATE entries SET " + damage + " WHERE sequence = 1");
      const auto store = opened(path);
      if (is_read_one_by_one)
        EXPECT_TRUE(holds_nothing(*store, 1)) << damage;
      else
        EXPECT_EQ(store->changes_since("", 10, 0)->added.size(), 1U) << damage;
      EXPECT_EQ(store->counters().n_damaged, 1U) << damage;
      EXPECT_EQ(store->counters().n_failures, 0U) << damage;
      EXPECT_EQ(store->counters().n_entries, 1U) << "it is gone";
      EXPECT_TRUE(holds(*store, law_entry(3, 3, 0, 10)));
      ASSERT_TRUE(store->put(entry));
      EXPECT_TRUE(holds(*store, entry));
    }
}

// Whatever happens to the file, an answer that is returned is the one that was stored.
RC_GTEST_PROP(SqliteStore, NeverReturnsWhatWasNotStored, ()) {
  const scratch_folder folder{memory_or_disk()};
  const auto path = file_in(folder);
  std::vector<cache_entry> stored;
  for (std::uint64_t key = 0; key < 20; ++key) {
    stored.push_back(law_entry(key, key, 0, 10));
  }
  {
    const auto store = opened(path);
    for (const auto& entry : stored)
      RC_ASSERT(store->put(entry).ok());
  }
  {
    std::fstream file{path, std::ios::in | std::ios::out | std::ios::binary};
    const auto n_bytes = std::filesystem::file_size(path);
    const int n_changes = *rc::gen::inRange(1, 40);
    for (int i = 0; i < n_changes; ++i) {
      file.seekp(static_cast<std::streamoff>(*rc::gen::inRange<std::uint64_t>(0, n_bytes)));
      file.put(*rc::gen::arbitrary<char>());
    }
  }
  auto store = sqlite_store::open({path});
  if (!store)
    return;
  for (const auto& entry : stored)
    if (const auto found = (*store)->get(entry.exact, 0); found && *found)
      RC_ASSERT(is_same(**found, entry));
  if (const auto changes = (*store)->changes_since("", 100, 0))
    for (const auto& entry : changes->added)
      RC_ASSERT(
          std::any_of(stored.begin(), stored.end(), [&](const auto& one) { return is_same(one, *entry); }));
  static_cast<void>((*store)->put(law_entry(1, 1, 0, 10)));
  static_cast<void>((*store)->forget(law_owner(1)));
}

TEST(SqliteStore, SaysThatTheDiskIsFullAndGoesOnWhenItIsNot) {
  const scratch_folder folder;
  const auto store = opened(file_in(folder));
  const auto before = large_entry(1, 20'000, 10);
  ASSERT_TRUE(store->put(before));
  {
    const file_size_limit limit{70'000};
    EXPECT_FALSE(store->put(large_entry(2, 200'000, 10)));
    EXPECT_EQ(store->counters().n_failures, 1U);
    EXPECT_FALSE(store->counters().is_reachable);
    EXPECT_TRUE(holds(*store, before));
    EXPECT_FALSE(sqlite_store::open({(folder.path() / "other.db").string()}).ok() &&
                 opened((folder.path() / "other.db").string())->put(large_entry(2, 200'000, 10)).ok());
  }
  const auto after = large_entry(2, 200'000, 10);
  EXPECT_TRUE(store->put(after));
  EXPECT_TRUE(store->counters().is_reachable);
  EXPECT_TRUE(holds(*store, before) && holds(*store, after));
}

TEST(SqliteStore, APutThatFailsInTheMiddleChangesNothing) {
  const scratch_folder folder;
  const auto store = opened(file_in(folder));
  const auto before = law_entry(1, 1, 0, 10);
  ASSERT_TRUE(store->put(before));
  change(file_in(folder), "CREATE TRIGGER refuse AFTER INSERT ON entries WHEN NEW.expires_s = 77 "
                          "BEGIN SELECT RAISE(ABORT, 'refused'); END");
  const auto failed = store->put(law_entry(1, 2, 0, 77));
  ASSERT_FALSE(failed);
  EXPECT_NE(failed.error().find(file_in(folder) + ": cannot be written: refused"), std::string::npos);
  EXPECT_TRUE(holds(*store, before));
  EXPECT_TRUE(store->put(law_entry(2, 2, 0, 10)));
}

TEST(SqliteStore, WaitsForOthersForNoLongerThanItMay) {
  const scratch_folder folder;
  const auto store = opened(file_in(folder), 64 << 20, 50);
  const auto entry = law_entry(1, 1, 0, 10);
  ASSERT_TRUE(store->put(entry));
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open(file_in(folder).c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
  const auto began = std::chrono::steady_clock::now();
  EXPECT_FALSE(store->put(law_entry(2, 2, 0, 10)));
  EXPECT_FALSE(store->erase(entry.exact));
  const auto forgotten = store->forget(entry.owner);
  ASSERT_FALSE(forgotten);
  EXPECT_NE(forgotten.error().find(file_in(folder) + ": cannot be written: database is locked"),
            std::string::npos);
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds{2});
  EXPECT_EQ(store->counters().n_failures, 3U);
  EXPECT_TRUE(holds(*store, entry)) << "who reads does not wait";
  sqlite3_close(other);
  EXPECT_TRUE(store->put(law_entry(2, 2, 0, 10)));
}

TEST(SqliteStore, IsMadeOnceWhenManyMakeIt) {
  const scratch_folder folder;
  std::vector<std::thread> threads;
  for (std::uint64_t i = 0; i < 8; ++i)
    threads.emplace_back([&folder, i] {
      const auto store = opened(file_in(folder), 64 << 20, 20'000);
      ASSERT_NE(store, nullptr);
      for (std::uint64_t key = 10 * i; key < 10 * i + 5; ++key)
        EXPECT_TRUE(store->put(law_entry(key, key, 0, 10)));
    });
  for (auto& thread : threads)
    thread.join();
  EXPECT_EQ(opened(file_in(folder))->counters().n_entries, 40U);
}

/// Stores entries from `first` on and says after each that it is stored, until it is killed.
[[noreturn]] void store_until_killed(const std::string& path, int said, std::uint64_t first) {
  const auto store = sqlite_store::open({path, 2 << 20});
  for (std::uint64_t i = first; store && (*store)->put(large_entry(i, 10 + i * 37 % 9000, 10)); ++i)
    if (write(said, &i, sizeof i) != sizeof i)
      break;
  _exit(1);
}

TEST(SqliteStore, LosesNothingThatItSaidItHadWhenItsProcessIsKilled) {
  const scratch_folder folder;
  const auto path = file_in(folder);
  std::uint64_t n_stored = 0;
  for (const std::uint64_t n_more : {1, 2, 40, 7, 90}) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    const auto child = fork();
    if (child == 0)
      store_until_killed(path, ends[1], n_stored);
    close(ends[1]);
    const auto wanted = n_stored + n_more;
    for (std::uint64_t i = 0; n_stored < wanted && read(ends[0], &i, sizeof i) == sizeof i;)
      n_stored = i + 1;
    kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status));
    for (std::uint64_t i = 0; read(ends[0], &i, sizeof i) == sizeof i;)
      n_stored = i + 1;
    close(ends[0]);
    const auto store = opened(path, 2 << 20);
    for (std::uint64_t i = 0; i < n_stored; ++i)
      ASSERT_TRUE(holds(*store, large_entry(i, 10 + i * 37 % 9000, 10))) << i;
    EXPECT_EQ(store->counters().n_damaged, 0U);
    EXPECT_LE(store->counters().n_entries, n_stored + 1);
    n_stored = static_cast<std::uint64_t>(store->counters().n_entries);
  }
}

/// Whether a user without rights to write can get at it, and what he is told.
TEST(SqliteStore, SaysThatAFileIsReadOnly) {
  const scratch_folder folder;
  const auto path = file_in(folder);
  ASSERT_TRUE(opened(path)->put(law_entry(1, 1, 0, 10)));
  ASSERT_EQ(chmod(path.c_str(), 0444), 0);
  ASSERT_EQ(chmod(folder.path().c_str(), 0755), 0);
  const auto child = fork();
  if (child == 0) {
    if (geteuid() == 0 && setuid(65534) != 0)
      _exit(2);
    const auto objection = objection_to(path);
    _exit(objection.find(path + ": may be read only") == 0 ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

} // namespace souffleur
