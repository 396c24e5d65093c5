// What processes that share a Redis server see of it, on servers that search by themselves and on others:
// random histories against a map.
#include "engine/cache/entry_codec.hpp"
#include "engine/cache/redis/keys.hpp"
#include "engine/cache/redis/vector_sets.hpp"

#include "tests/engine/cache/random_entry.hpp"
#include "tests/engine/cache/redis_server.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <map>
#include <optional>
#include <random>

namespace souffleur {
namespace {

using testing::digest_numbered;
using testing::is_same;
using testing::opened;
using testing::patient_options;
using testing::redis_server;
using testing::redis_version;

constexpr int n_exact = 12;
constexpr int n_owners = 2;
constexpr int n_partitions = 4;

/// The servers drop what has expired at their own clocks.
unix_seconds now_s() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

key_digest exact_of(int number) { return digest_numbered(static_cast<std::uint64_t>(number)); }
key_digest partition_of(int number) {
  return digest_numbered(1000U + static_cast<unsigned>(number) % n_partitions);
}
key_digest owner_of(int number) { return digest_numbered(2000U + static_cast<unsigned>(number) % n_owners); }

std::vector<float> direction(int degrees) {
  const double angle = degrees * std::acos(-1) / 180;
  return {static_cast<float>(std::cos(angle)), static_cast<float>(std::sin(angle)), 0, 0};
}

double cosine(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    sum += double{a[i]} * b[i];
  return sum;
}

/// The number is of the keys, the version of the rest.
cache_entry entry_numbered(int number, int version = 0, unix_seconds lifetime_s = 1000) {
  cache_entry entry;
  entry.exact = exact_of(number);
  entry.partition = partition_of(number);
  entry.owner = owner_of(number);
  entry.question = "question " + std::to_string(number);
  entry.embedding = direction(31 * number + version);
  entry.embedder = "test";
  entry.created_s = now_s() - 1000 + number;
  entry.expires_s = now_s() + lifetime_s;
  entry.answer = std::make_shared<const cached_answer>(
      cached_answer{{{version, "answer", "answer"}}, std::to_string(version), ""});
  return entry;
}

/// What one process knows from `changes_since` alone.
class replica {
public:
  std::map<key_digest, cache_entry> entries;
  int n_starts = 0;

  void catch_up(answer_store& store, std::size_t n_at_once) {
    for (bool is_all = false; !is_all;) {
      const auto changes = store.changes_since(position_, n_at_once, now_s());
      ASSERT_TRUE(changes) << changes.error();
      if (changes->starts_over) {
        ++n_starts;
        entries.clear();
      }
      for (const auto& entry : changes->added)
        entries[entry->exact] = *entry;
      for (const auto& exact : changes->removed)
        entries.erase(exact);
      position_ = changes->position;
      is_all = changes->is_all;
    }
  }

private:
  std::string position_;
};

struct command {
  enum { put, put_without_vector, put_expired, erase, forget, catch_up, n_kinds } kind = put;
  int store = 0;
  int number = 0;
  int version = 0;
};

[[maybe_unused]] std::ostream& operator<<(std::ostream& out, const command& c) {
  return out << "{" << c.kind << ", " << c.store << ", " << c.number << ", " << c.version << "}";
}

rc::Gen<command> any_command() {
  const auto kind = rc::gen::weightedElement<decltype(command::kind)>({{12, command::put},
                                                                       {2, command::put_without_vector},
                                                                       {2, command::put_expired},
                                                                       {4, command::erase},
                                                                       {1, command::forget},
                                                                       {3, command::catch_up}});
  return rc::gen::build<command>(rc::gen::set(&command::kind, kind),
                                 rc::gen::set(&command::store, rc::gen::inRange(0, 2)),
                                 rc::gen::set(&command::number, rc::gen::inRange(0, n_exact)),
                                 rc::gen::set(&command::version, rc::gen::inRange(0, 10)));
}

/// Two processes, and the map that both should see.
class history {
public:
  history(const redis_server& server, std::size_t max_changes, std::size_t n_at_once)
      : n_at_once_(n_at_once) {
    server.command({"FLUSHALL"});
    auto options = patient_options(server.url());
    options.max_changes = max_changes;
    for (auto& process : processes_)
      process.store = opened(options);
  }

  void run(const command& c) {
    auto& process = processes_[static_cast<std::size_t>(c.store)];
    switch (c.kind) {
    case command::put:
      put(process, entry_numbered(c.number, c.version));
      break;
    case command::put_without_vector: {
      auto entry = entry_numbered(c.number, c.version);
      entry.embedding.clear();
      put(process, entry);
      break;
    }
    case command::put_expired:
      put(process, entry_numbered(c.number, c.version, -5));
      break;
    case command::erase:
      RC_ASSERT(process.store->erase(exact_of(c.number)).ok());
      model_.erase(exact_of(c.number));
      break;
    case command::forget:
      forget(process, owner_of(c.number));
      break;
    default:
      catch_up(process);
    }
    check_keys(c.number);
    check_neighbours(c.number);
  }

  void check_all() {
    for (auto& process : processes_) {
      catch_up(process);
      RC_ASSERT(process.store->counters().n_failures == 0U);
      RC_ASSERT(process.store->counters().n_damaged == 0U);
    }
    for (int number = 0; number < n_exact; ++number)
      check_keys(number);
    for (int number = 0; number < n_partitions; ++number)
      check_neighbours(number);
  }

private:
  struct process {
    std::unique_ptr<answer_store> store;
    replica known;
  };

  void catch_up(process& by) {
    by.known.catch_up(*by.store, n_at_once_);
    RC_ASSERT(by.known.entries.size() == model_.size());
    for (const auto& [exact, entry] : by.known.entries)
      RC_ASSERT((model_.contains(exact) && is_same(entry, model_[exact])));
  }

  void put(process& by, const cache_entry& entry) {
    RC_ASSERT(by.store->put(entry).ok());
    model_.erase(entry.exact);
    if (entry.expires_s > now_s())
      model_.emplace(entry.exact, entry);
  }

  void forget(process& by, const key_digest& owner) {
    const auto n = by.store->forget(owner);
    RC_ASSERT(n.ok());
    RC_ASSERT(*n == std::erase_if(model_, [&](const auto& each) { return each.second.owner == owner; }));
  }

  void check_keys(int number) {
    for (auto& process : processes_) {
      const auto found = process.store->get(exact_of(number), now_s());
      RC_ASSERT(found.ok());
      const auto expected = model_.find(exact_of(number));
      RC_ASSERT(found->has_value() == (expected != model_.end()));
      if (*found)
        RC_ASSERT(is_same(**found, expected->second));
      const auto later = process.store->get(exact_of(number), now_s() + 2000);
      RC_ASSERT((later.ok() && !*later));
    }
  }

  /// With so few, the server's search is exact.
  void check_neighbours(int number) {
    constexpr std::size_t n_wanted = 2;
    const auto question = direction(17 * number);
    auto expected = std::vector<double>{};
    for (const auto& [exact, entry] : model_)
      if (entry.partition == partition_of(number) && !entry.embedding.empty())
        expected.push_back(cosine(entry.embedding, question));
    std::ranges::sort(expected, std::greater{});
    expected.resize(std::min(expected.size(), n_wanted));
    for (auto& process : processes_) {
      if (!process.store->searches())
        continue;
      const auto later = process.store->nearest(partition_of(number), question, n_wanted, now_s() + 2000);
      RC_ASSERT((later.ok() && later->empty()));
      const auto found = process.store->nearest(partition_of(number), question, n_wanted, now_s());
      RC_ASSERT(found.ok());
      RC_ASSERT(found->size() == expected.size());
      for (std::size_t i = 0; i < expected.size(); ++i) {
        const auto entry = model_.find((*found)[i].exact);
        RC_ASSERT((entry != model_.end() && entry->second.partition == partition_of(number)));
        RC_ASSERT(std::abs((*found)[i].similarity - expected[i]) < 1e-5);
        RC_ASSERT(std::abs(cosine(entry->second.embedding, question) - expected[i]) < 1e-5);
      }
    }
  }

  std::size_t n_at_once_;
  std::array<process, 2> processes_;
  std::map<key_digest, cache_entry> model_;
};

class RedisStore : public ::testing::TestWithParam<redis_version> {
protected:
  void SetUp() override { SKIP_WITHOUT_REDIS(GetParam()); }

  /// Started once for all tests of a version.
  static redis_server& server() {
    static std::map<redis_version, std::unique_ptr<redis_server>> servers;
    auto& found = servers[GetParam()];
    if (!found)
      found = std::make_unique<redis_server>(GetParam());
    return *found;
  }
  static redis_server& empty_server() {
    server().command({"FLUSHALL"});
    return server();
  }
  static std::unique_ptr<answer_store> new_store() { return opened(patient_options(empty_server().url())); }

  static std::string entry_key(int number) {
    return redis_keys{"souffleur:"}.entry(to_hex(exact_of(number)));
  }
};

INSTANTIATE_TEST_SUITE_P(Servers, RedisStore, ::testing::Values(redis_version::seven, redis_version::eight),
                         [](const auto& version) {
                           return version.param == redis_version::seven ? "Redis7" : "Redis8";
                         });

TEST_P(RedisStore, SearchesWhereTheServerDoes) {
  EXPECT_EQ(new_store()->searches(), GetParam() == redis_version::eight);
  auto options = patient_options(server().url());
  options.n_dimensions = 0;
  EXPECT_FALSE(opened(options)->searches());
}

TEST_P(RedisStore, IsLikeAMapThatTwoProcessesShare) {
  auto& shared = server();
  EXPECT_TRUE(rc::check([&shared] {
    const auto max_changes = *rc::gen::element<std::size_t>(1, 4, 1000);
    history past{shared, max_changes, *rc::gen::inRange<std::size_t>(1, 8)};
    // A command asks the server some twenty times, which takes a while on a machine with other things to do.
    for (const auto& each : *rc::gen::scale(0.4, rc::gen::container<std::vector<command>>(any_command())))
      past.run(each);
    past.check_all();
  }));
}

TEST_P(RedisStore, LooksAtAllAgainOnlyAfterChangesWereDropped) {
  auto options = patient_options(empty_server().url());
  options.max_changes = 8;
  const auto store = opened(options);
  replica known;
  known.catch_up(*store, 4);
  for (int number = 0; number < 6; ++number)
    ASSERT_TRUE(store->put(entry_numbered(number)));
  known.catch_up(*store, 4);
  EXPECT_EQ(known.n_starts, 1);
  EXPECT_EQ(known.entries.size(), 6U);
  for (int version = 0; version < 20; ++version)
    ASSERT_TRUE(store->put(entry_numbered(0, version)));
  ASSERT_TRUE(store->erase(exact_of(5)));
  known.catch_up(*store, 4);
  EXPECT_EQ(known.n_starts, 2);
  EXPECT_EQ(known.entries.size(), 5U);
}

TEST_P(RedisStore, LooksAtAllAgainAfterTheServerLostEverything) {
  redis_server own{GetParam()};
  const auto store = opened(patient_options(own.url()));
  replica known;
  ASSERT_TRUE(store->put(entry_numbered(1)));
  known.catch_up(*store, 4);
  EXPECT_EQ(known.entries.size(), 1U);
  own.kill();
  own.start();
  ASSERT_TRUE(store->put(entry_numbered(2)));
  known.catch_up(*store, 4);
  EXPECT_EQ(known.n_starts, 2);
  EXPECT_FALSE(known.entries.contains(exact_of(1)));
  EXPECT_TRUE(known.entries.contains(exact_of(2)));
}

TEST_P(RedisStore, LooksAtAllAgainIfTheServerIsRestartedMeanwhile) {
  redis_server own{GetParam(), {"--appendonly", "yes"}};
  const auto store = opened(patient_options(own.url()));
  constexpr int n_entries = 50;
  for (int number = 0; number < n_entries; ++number)
    ASSERT_TRUE(store->put(entry_numbered(number)));
  const auto first = store->changes_since("", 5, now_s());
  ASSERT_TRUE(first) << first.error();
  EXPECT_TRUE(first->starts_over);
  EXPECT_FALSE(store->changes_since(first->position, 5, now_s())->starts_over);
  own.kill();
  own.start();
  EXPECT_TRUE(store->changes_since(first->position, 5, now_s())->starts_over);
}

TEST_P(RedisStore, SeesManyEntriesPartByPart) {
  constexpr int n_entries = 300;
  const auto store = new_store();
  for (int number = 0; number < n_entries; ++number)
    ASSERT_TRUE(store->put(entry_numbered(number)));
  replica known;
  known.catch_up(*store, 16);
  EXPECT_EQ(known.n_starts, 1);
  EXPECT_EQ(known.entries.size(), static_cast<std::size_t>(n_entries));
}

TEST_P(RedisStore, KeepsPrefixesApart) {
  auto options = patient_options(empty_server().url());
  const auto plain = opened(options);
  options.prefix = "[a-z]*:";
  const auto other = opened(options);
  ASSERT_TRUE(plain->put(entry_numbered(1)));
  ASSERT_TRUE(other->put(entry_numbered(2)));
  replica known;
  known.catch_up(*other, 10);
  EXPECT_EQ(known.entries.size(), 1U);
  EXPECT_TRUE(known.entries.contains(exact_of(2)));
  EXPECT_FALSE(*other->get(exact_of(1), now_s()));
}

TEST_P(RedisStore, LetsTheServerDropWhatExpires) {
  const auto store = new_store();
  ASSERT_TRUE(store->put(entry_numbered(1, 0, 1000)));
  const auto ttl_ms = server().integer({"PTTL", entry_key(1)});
  EXPECT_GT(ttl_ms, 900'000);
  EXPECT_LE(ttl_ms, 1'000'000);
}

TEST_P(RedisStore, SweepsWhatFindsExpiredEntries) {
  const auto store = new_store();
  const auto dead = entry_numbered(0, 0, -2000);
  ASSERT_TRUE(store->put(dead));
  const redis_keys keys{"souffleur:"};
  const auto set = keys.vectors(vector_set_name(dead.partition, "test", 4));
  for (int version = 0; version < 40; ++version)
    ASSERT_TRUE(store->put(entry_numbered(n_partitions, version))); // of the same owner and partition
  EXPECT_EQ(server().integer({"ZCARD", keys.owner(dead.owner)}), 1);
  if (store->searches()) {
    EXPECT_EQ(server().integer({"VCARD", set}), 1);
    EXPECT_GT(server().integer({"PTTL", set}), 900'000);
  }
}

TEST_P(RedisStore, SaysThatItPutOnlyWhatItPut) {
  const auto one = new_store();
  const auto other = opened(patient_options(server().url()));
  constexpr int n_entries = 70;
  for (int i = 0; i < n_entries; ++i) {
    const int number = i * n_owners; // all of one
    ASSERT_TRUE((i % 2 == 0 ? one : other)->put(entry_numbered(number)));
    const auto found = one->get(exact_of(number), now_s());
    EXPECT_TRUE((found && *found)) << number;
  }
}

TEST_P(RedisStore, LeavesNothingBehindButTheLog) {
  const auto store = new_store();
  for (int number = 0; number < n_exact; ++number)
    ASSERT_TRUE(store->put(entry_numbered(number)));
  for (int number = 0; number < n_exact; number += n_owners)
    ASSERT_TRUE(store->erase(exact_of(number)));
  EXPECT_EQ(*store->forget(owner_of(1)), static_cast<std::size_t>(n_exact / n_owners));
  EXPECT_EQ(*store->forget(owner_of(1)), 0U);
  EXPECT_EQ(server().integer({"DBSIZE"}), 1);
  EXPECT_EQ(server().integer({"EXISTS", "souffleur:changes"}), 1);
}

TEST_P(RedisStore, StoresAndReadsNothingThatIsTooLarge) {
  auto options = patient_options(empty_server().url());
  const auto generous = opened(options);
  options.max_value_bytes = encode_entry(entry_numbered(1)).size();
  const auto strict = opened(options);
  auto large = entry_numbered(2);
  large.question += "?????";
  EXPECT_TRUE(strict->put(entry_numbered(1)));
  EXPECT_FALSE(strict->put(large));
  EXPECT_TRUE(generous->put(large));
  EXPECT_TRUE(*strict->get(exact_of(1), now_s()));
  EXPECT_FALSE(*strict->get(exact_of(2), now_s()));
  EXPECT_EQ(strict->counters().n_failures, 1U);
  EXPECT_EQ(strict->counters().n_damaged, 1U);
}

TEST_P(RedisStore, IgnoresAndCountsDamagedValues) {
  const auto store = new_store();
  const auto whole = encode_entry(entry_numbered(1));
  auto flipped = whole;
  flipped[whole.size() / 2] ^= 1;
  auto other_version = whole;
  ++other_version[4];
  auto longer = entry_numbered(1);
  longer.embedding.push_back(0);
  const auto other_dimensions = encode_entry(longer);
  const auto other_key = encode_entry(entry_numbered(2));
  std::uint64_t n_damaged = 0;
  for (const auto& bytes : {whole.substr(0, whole.size() - 1), whole.substr(0, 50), std::string{"x"}, flipped,
                            other_version, other_dimensions, other_key}) {
    ASSERT_TRUE(store->put(entry_numbered(1)));
    server().command({"SET", entry_key(1), bytes});
    const auto found = store->get(exact_of(1), now_s());
    ASSERT_TRUE(found);
    EXPECT_FALSE(*found);
    EXPECT_EQ(store->counters().n_damaged, ++n_damaged);
    replica known;
    known.catch_up(*store, 10);
    EXPECT_TRUE(known.entries.empty());
    n_damaged = store->counters().n_damaged;
  }
  server().command({"DEL", entry_key(1)});
  server().command({"RPUSH", entry_key(1), "a list"});
  const auto found = store->get(exact_of(1), now_s());
  EXPECT_TRUE((found && !*found));
  EXPECT_EQ(store->counters().n_damaged, n_damaged + 1);
  EXPECT_EQ(store->counters().n_failures, 0U);
  EXPECT_TRUE(store->put(entry_numbered(1)));
  EXPECT_TRUE(*store->get(exact_of(1), now_s()));
}

TEST_P(RedisStore, PutsNothingByHalvesWhereSomethingElseHasOneOfItsNames) {
  const redis_keys keys{"souffleur:"};
  for (const auto& taken : {keys.owner(owner_of(1)), keys.changes()}) {
    const auto store = new_store();
    server().command({"SET", taken, "something else"});
    EXPECT_FALSE(store->put(entry_numbered(1)));
    EXPECT_FALSE(*store->get(exact_of(1), now_s()));
    EXPECT_EQ(store->counters().n_failures, 1U);
    EXPECT_EQ(store->counters().n_damaged, 1U);
    if (store->searches()) {
      EXPECT_TRUE(store->nearest(partition_of(1), direction(0), 1, now_s())->empty());
    }
  }
}

TEST_P(RedisStore, IgnoresDamagedChanges) {
  const auto store = new_store();
  replica known;
  known.catch_up(*store, 10);
  ASSERT_TRUE(store->put(entry_numbered(1)));
  server().command({"XADD", "souffleur:changes", "*", "+", "short"});
  server().command({"XADD", "souffleur:changes", "*", "?", to_hex(exact_of(1))});
  server().command({"XADD", "souffleur:changes", "*", "-", to_hex(exact_of(1)), "-", to_hex(exact_of(1))});
  known.catch_up(*store, 2);
  EXPECT_EQ(known.n_starts, 1);
  EXPECT_EQ(known.entries.size(), 1U);
  EXPECT_EQ(store->counters().n_damaged, 3U);
}

TEST_P(RedisStore, TakesAPositionThatItDidNotGiveForTheBeginning) {
  const auto store = new_store();
  ASSERT_TRUE(store->put(entry_numbered(1)));
  for (const auto* position : {"x", "a b c", "run 0 0", "run x 0-0", "run  1-x"}) {
    const auto changes = store->changes_since(position, 10, now_s());
    ASSERT_TRUE(changes) << changes.error();
    EXPECT_TRUE(changes->starts_over) << position;
  }
}

/// Where the server does it.
class RedisSearch : public RedisStore {};

INSTANTIATE_TEST_SUITE_P(Servers, RedisSearch, ::testing::Values(redis_version::eight),
                         [](const auto&) { return "Redis8"; });

TEST_P(RedisSearch, FindsNoNeighbourWhoseEntryIsGoneOrOfAnotherPartition) {
  const auto store = new_store();
  for (const int number : {0, n_partitions, 2 * n_partitions, 3 * n_partitions})
    ASSERT_TRUE(store->put(entry_numbered(number)));
  const auto set = redis_keys{"souffleur:"}.vectors(vector_set_name(partition_of(0), "test", 4));
  server().command({"DEL", entry_key(0)}); // as a full server would
  const auto found = store->nearest(partition_of(0), direction(0), 3, now_s());
  ASSERT_TRUE(found);
  EXPECT_EQ(found->size(), 3U);
  EXPECT_TRUE(std::ranges::none_of(*found, [](const auto& each) { return each.exact == exact_of(0); }));
  EXPECT_EQ(server().integer({"VCARD", set}), 3);

  ASSERT_TRUE(store->put(entry_numbered(1)));
  server().command({"VADD", set, "VALUES", "4", "1", "0", "0", "0", to_hex(exact_of(1)), "NOQUANT", "SETATTR",
                    R"({"exp":1e12})"});
  EXPECT_EQ(store->nearest(partition_of(0), direction(0), 3, now_s())->size(), 2U);
  EXPECT_EQ(store->counters().n_damaged, 1U);

  server().command({"SET", set, "something else"});
  EXPECT_TRUE(store->nearest(partition_of(0), direction(0), 3, now_s())->empty());
  EXPECT_EQ(store->counters().n_damaged, 2U);
  EXPECT_EQ(store->counters().n_failures, 0U);
  EXPECT_FALSE(store->nearest(partition_of(0), std::array<float, 2>{1, 0}, 3, now_s()));
}

/// The same questions to a server that searches, and to one that only tells what there is.
TEST(RedisServers, FindTheSame) {
  SKIP_WITHOUT_REDIS(redis_version::seven);
  SKIP_WITHOUT_REDIS(redis_version::eight);
  constexpr int n_entries = 1000;
  constexpr int n_questions = 200;
  constexpr std::size_t n_dimensions = 32;
  std::mt19937 random{7};
  std::normal_distribution<float> normal;
  const auto unit_vector = [&] {
    std::vector<float> vector(n_dimensions);
    for (auto& x : vector)
      x = normal(random);
    const auto length = std::sqrt(cosine(vector, vector));
    for (auto& x : vector)
      x = static_cast<float>(x / length);
    return vector;
  };
  redis_server seven{redis_version::seven};
  redis_server eight{redis_version::eight};
  auto options = patient_options(seven.url());
  options.n_dimensions = n_dimensions;
  const auto fed = opened(options);
  options.url = eight.url();
  const auto searching = opened(options);
  for (int number = 0; number < n_entries; ++number) {
    auto entry = entry_numbered(number);
    entry.partition = partition_of(0);
    entry.embedding = unit_vector();
    ASSERT_TRUE(fed->put(entry));
    ASSERT_TRUE(searching->put(entry));
  }
  replica known;
  known.catch_up(*fed, 200);
  ASSERT_EQ(known.entries.size(), static_cast<std::size_t>(n_entries));
  int n_same = 0;
  for (int i = 0; i < n_questions; ++i) {
    const auto question = unit_vector();
    const auto best = std::ranges::max_element(
        known.entries, {}, [&](const auto& each) { return cosine(each.second.embedding, question); });
    const auto found = searching->nearest(partition_of(0), question, 1, now_s());
    ASSERT_TRUE((found && found->size() == 1U));
    n_same += found->front().exact == best->first;
  }
  EXPECT_GE(n_same, n_questions * 98 / 100);
}

} // namespace
} // namespace souffleur
