// What a Redis server may do to a store: it is not there, hangs, dies, comes back empty, refuses, is full, is
// slow. Each call fails within its time, and everything works again afterwards.
#include "tests/engine/cache/random_entry.hpp"
#include "tests/engine/cache/redis_server.hpp"
#include "tests/engine/cache/slow_proxy.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <thread>

namespace souffleur {
namespace {

using namespace std::chrono_literals;
using testing::digest_numbered;
using testing::opened;
using testing::patient_options;
using testing::redis_server;
using testing::redis_version;
using clock = std::chrono::steady_clock;

/// Of a call that should take `lookup_timeout` or `background_timeout`: this machine may have other things to
/// do for a while. What waits for the server takes longer than any of these.
constexpr auto a_while = 3s;

unix_seconds now_s() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

cache_entry entry_numbered(std::uint64_t number, std::size_t n_bytes = 10) {
  cache_entry entry;
  entry.exact = digest_numbered(number);
  entry.partition = digest_numbered(1000);
  entry.owner = digest_numbered(2000);
  entry.question = "?";
  entry.embedding = {1, 0, 0, 0};
  entry.embedder = "test";
  entry.created_s = now_s();
  entry.expires_s = now_s() + 1000;
  entry.answer = std::make_shared<const cached_answer>(cached_answer{{}, std::string(n_bytes, 'x'), ""});
  return entry;
}

redis_store_options hasty_options(const std::string& url) {
  auto options = patient_options(url);
  options.lookup_timeout = 20ms;
  options.background_timeout = 50ms;
  options.connect_timeout = 50ms;
  options.first_back_off = 50ms;
  options.most_back_off = 200ms;
  return options;
}

bool works(answer_store& store) {
  const auto entry = entry_numbered(7);
  const auto written = store.put(entry);
  const auto found = store.get(entry.exact, now_s());
  return written.ok() && found.ok() && found->has_value();
}

bool works_after_a_while(answer_store& store) {
  for (int i = 0; i < 1000; ++i) {
    if (works(store))
      return true;
    std::this_thread::sleep_for(20ms);
  }
  return false;
}

/// What each call of the interface says, and that it says so in time.
void expect_that_every_call_fails_in_time(answer_store& store) {
  const std::array<float, 4> vector{1, 0, 0, 0};
  const std::vector<std::function<bool()>> calls{
      [&] { return store.get(digest_numbered(7), now_s()).ok(); },
      [&] { return store.put(entry_numbered(7)).ok(); },
      [&] { return store.erase(digest_numbered(7)).ok(); },
      [&] { return store.forget(digest_numbered(2000)).ok(); },
      [&] { return store.changes_since("", 10, now_s()).ok(); },
      [&] { return store.nearest(digest_numbered(1000), vector, 1, now_s()).ok(); }};
  const auto n_failures = store.counters().n_failures;
  for (const auto& call : calls) {
    const auto start = clock::now();
    EXPECT_FALSE(call());
    EXPECT_LT(clock::now() - start, a_while);
  }
  EXPECT_EQ(store.counters().n_failures, n_failures + calls.size());
  EXPECT_FALSE(store.counters().is_reachable);
}

class RedisFaults : public ::testing::TestWithParam<redis_version> {
protected:
  void SetUp() override { SKIP_WITHOUT_REDIS(GetParam()); }
};

INSTANTIATE_TEST_SUITE_P(Servers, RedisFaults, ::testing::Values(redis_version::seven, redis_version::eight),
                         [](const auto& version) {
                           return version.param == redis_version::seven ? "Redis7" : "Redis8";
                         });

TEST_P(RedisFaults, AServerThatIsNotThereYet) {
  redis_server server{GetParam()};
  server.kill();
  const auto store = opened(hasty_options(server.url()));
  EXPECT_FALSE(store->searches());
  expect_that_every_call_fails_in_time(*store);
  server.start();
  EXPECT_TRUE(works_after_a_while(*store));
  EXPECT_TRUE(store->counters().is_reachable);
  EXPECT_EQ(store->searches(), GetParam() == redis_version::eight);
}

TEST_P(RedisFaults, AServerThatHangs) {
  redis_server server{GetParam()};
  const auto store = opened(hasty_options(server.url()));
  ASSERT_TRUE(works_after_a_while(*store));
  server.hang();
  expect_that_every_call_fails_in_time(*store);
  server.go_on();
  EXPECT_TRUE(works_after_a_while(*store));
}

TEST_P(RedisFaults, AServerThatHangsIsAskedOnceInAnInterval) {
  redis_server server{GetParam()};
  auto options = hasty_options(server.url());
  options.first_back_off = options.most_back_off = 1h;
  const auto store = opened(options);
  server.hang();
  EXPECT_FALSE(store->get(digest_numbered(1), now_s()));
  const auto start = clock::now();
  constexpr int n_calls = 1000;
  for (int i = 0; i < n_calls; ++i)
    EXPECT_FALSE(store->get(digest_numbered(1), now_s()));
  EXPECT_LT(clock::now() - start, n_calls * options.lookup_timeout / 4);
}

TEST_P(RedisFaults, AServerThatDiesKeepsWhatItAcknowledged) {
  redis_server server{GetParam(), {"--appendonly", "yes", "--appendfsync", "always"}};
  const auto store = opened(patient_options(server.url()));
  constexpr std::uint64_t n_entries = 50;
  for (std::uint64_t i = 0; i < n_entries; ++i)
    ASSERT_TRUE(store->put(entry_numbered(i)));
  server.kill();
  expect_that_every_call_fails_in_time(*store);
  server.start();
  ASSERT_TRUE(works_after_a_while(*store));
  for (std::uint64_t i = 0; i < n_entries; ++i) {
    const auto found = store->get(digest_numbered(i), now_s());
    EXPECT_TRUE((found && *found)) << i;
  }
}

TEST_P(RedisFaults, AServerThatWasRestartedWhileNothingWasAskedIsNoFault) {
  redis_server server{GetParam()};
  const auto store = opened(patient_options(server.url()));
  ASSERT_TRUE(works(*store));
  server.kill();
  server.start();
  EXPECT_TRUE(works(*store));
  EXPECT_EQ(store->counters().n_failures, 0U);
}

TEST_P(RedisFaults, AServerThatWantsAnotherPassword) {
  redis_server server{GetParam()};
  server.command({"ACL", "SETUSER", "cache", "on", ">right", "~souffleur:*", "+@all"});
  server.command({"CONFIG", "SET", "requirepass", "also right"});
  server.password = "also right";
  const auto url_with = [&](const std::string& credentials) {
    return "unix://" + credentials + server.socket_path();
  };
  for (const auto* wrong : {"", "cache:wrong@", ":wrong@", "nobody:right@"}) {
    const auto store = opened(patient_options(url_with(wrong)));
    expect_that_every_call_fails_in_time(*store);
    const auto why = store->get(digest_numbered(1), now_s());
    EXPECT_NE(why.error().find(*wrong == 0 ? "NOAUTH" : "WRONGPASS"), std::string::npos) << why.error();
  }
  for (const auto* right : {"cache:right@", ":also%20right@"})
    EXPECT_TRUE(works(*opened(patient_options(url_with(right)))));
}

TEST_P(RedisFaults, AServerThatIsFullStillReadsAndForgets) {
  redis_server server{GetParam()};
  const auto store = opened(patient_options(server.url()));
  constexpr std::uint64_t n_entries = 200;
  for (std::uint64_t i = 0; i < n_entries; ++i)
    ASSERT_TRUE(store->put(entry_numbered(i, 100'000)));
  server.command({"CONFIG", "SET", "maxmemory-policy", "noeviction"});
  server.command({"CONFIG", "SET", "maxmemory", "10mb"});
  const auto start = clock::now();
  const auto refused = store->put(entry_numbered(n_entries));
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().find("OOM"), std::string::npos) << refused.error();
  EXPECT_LT(clock::now() - start, a_while);
  EXPECT_TRUE(store->counters().is_reachable);
  EXPECT_EQ(store->counters().n_failures, 1U);
  EXPECT_TRUE(*store->get(digest_numbered(0), now_s()));
  EXPECT_FALSE(*store->get(digest_numbered(n_entries), now_s()));
  EXPECT_FALSE(store->erase(digest_numbered(0))); // it can, but not tell others
  EXPECT_FALSE(*store->get(digest_numbered(0), now_s()));
  const auto n = store->forget(digest_numbered(2000));
  ASSERT_TRUE(n) << n.error();
  EXPECT_EQ(*n, n_entries - 1);
  EXPECT_TRUE(works(*store));
}

TEST_P(RedisFaults, AServerThatMayDropAnyKeyCannotSayThatAllIsForgotten) {
  redis_server server{GetParam(), {"--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"}};
  const auto store = opened(patient_options(server.url()));
  ASSERT_TRUE(works(*store));
  const auto n = store->forget(digest_numbered(2000));
  ASSERT_FALSE(n);
  EXPECT_NE(n.error().find("maxmemory-policy"), std::string::npos);
  EXPECT_FALSE(*store->get(digest_numbered(7), now_s()));
  server.command({"CONFIG", "SET", "maxmemory-policy", "volatile-lru"});
  EXPECT_TRUE(store->forget(digest_numbered(2000)));
}

TEST_P(RedisFaults, AServerThatIsSlow) {
  redis_server server{GetParam()};
  testing::slow_proxy proxy{server.socket_path()};
  const auto store = opened(hasty_options(proxy.url()));
  ASSERT_TRUE(works_after_a_while(*store));
  proxy.delay(500ms);
  constexpr int n_calls = 20;
  const auto start = clock::now();
  int n_failed = 0;
  for (int i = 0; i < n_calls; ++i) {
    n_failed += !store->get(digest_numbered(7), now_s());
    std::this_thread::sleep_for(10ms);
  }
  EXPECT_EQ(n_failed, n_calls);
  EXPECT_LT(clock::now() - start, n_calls * 500ms / 2);
  proxy.delay(0ms);
  EXPECT_TRUE(works_after_a_while(*store));
}

TEST(RedisFaultsOverTcp, APortThatRefusesAndAnAddressThatIsNone) {
  EXPECT_FALSE(open_redis_store(hasty_options("rediss://127.0.0.1:1")));
  const auto store = opened(hasty_options("redis://127.0.0.1:1"));
  expect_that_every_call_fails_in_time(*store);
}

} // namespace
} // namespace souffleur
