// What a connection to Redis is made of: addresses, waiting times, names and places in the log, and sockets.
#include "engine/cache/redis/address.hpp"
#include "engine/cache/redis/change_log.hpp"
#include "engine/cache/redis/circuit_breaker.hpp"
#include "engine/cache/redis/endpoint.hpp"
#include "engine/cache/redis/keys.hpp"
#include "engine/cache/redis/socket.hpp"

#include "tests/engine/random_text.hpp"
#include "tests/engine/scratch_folder.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <array>
#include <cstring>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace souffleur {
namespace {

using namespace std::chrono_literals;

redis_address at_host(const std::string& host) {
  redis_address address;
  address.host = host;
  return address;
}

redis_address at_path(const std::string& path) {
  redis_address address;
  address.path = path;
  return address;
}

std::string percent_encoded(const std::string& text) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string encoded;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    encoded += '%';
    encoded += digits[byte >> 4];
    encoded += digits[byte & 15];
  }
  return encoded;
}

RC_GTEST_PROP(RedisAddress, IsReadAsItIsWritten, ()) {
  redis_address address;
  address.user = *testing::broken_text();
  address.password = *testing::broken_text();
  address.database = *rc::gen::inRange(0, 16);
  const auto credentials = percent_encoded(address.user) + ":" + percent_encoded(address.password) + "@";
  std::string url;
  if (*rc::gen::arbitrary<bool>()) {
    address.host = *rc::gen::element<std::string>("localhost", "cache.example", "127.0.0.1", "::1");
    address.port = *rc::gen::inRange(1, 65536);
    const auto host = address.host == "::1" ? "[::1]" : address.host;
    url = "redis://" + credentials + host + ":" + std::to_string(address.port) + "/" +
          std::to_string(address.database);
  } else {
    const auto name = *testing::broken_text();
    address.path = "/" + name;
    url = "unix://" + credentials + "/" + percent_encoded(name) + "?db=" + std::to_string(address.database);
  }
  const auto read = parse_redis_address(url);
  RC_ASSERT(read.ok());
  RC_ASSERT(*read == address);
}

TEST(RedisAddress, NeedsOnlyAHost) {
  const auto read = parse_redis_address("redis://cache.example");
  ASSERT_TRUE(read) << read.error();
  EXPECT_EQ(*read, at_host("cache.example"));
  EXPECT_EQ(read->place(), "redis://cache.example:6379");
  EXPECT_EQ(parse_redis_address("redis://[fe80::1]")->host, "fe80::1");
  EXPECT_EQ(parse_redis_address("redis://:a/b@host/3")->password, "a/b");
  EXPECT_EQ(parse_redis_address("redis://:a@b@host/3")->password, "a@b");
  EXPECT_EQ(parse_redis_address("redis://:secret@host/3")->place(), "redis://host:6379");
  EXPECT_EQ(parse_redis_address("unix:///run/redis.sock")->path, "/run/redis.sock");
}

TEST(RedisAddress, SaysWhatIsWrongWithoutThePassword) {
  for (const auto* url : {"",
                          "cache.example",
                          "http://cache.example",
                          "redis://",
                          "redis://:6379",
                          "redis://host:",
                          "redis://host:0",
                          "redis://host:65536",
                          "redis://host:12x",
                          "redis://host/x",
                          "redis://host/-1",
                          "redis://[::1",
                          "redis://[::1]6379",
                          "redis://user@host",
                          "redis://u:secret%@host",
                          "redis://u:secret%4@host",
                          "redis://u:secret%zz@host",
                          "unix://",
                          "unix://host/path",
                          "unix:///path?db=x",
                          "redis://u:secret@host:x",
                          "unix:///a%"}) {
    const auto read = parse_redis_address(url);
    ASSERT_FALSE(read) << url;
    EXPECT_EQ(read.error().find("secret"), std::string::npos) << read.error();
  }
  EXPECT_NE(parse_redis_address("rediss://host").error().find("TLS"), std::string::npos);
}

/// Against the definition: how long after the last failure, if n of them came in a row.
RC_GTEST_PROP(CircuitBreaker, OpensForTwiceAsLongAfterEachFailureInARow, ()) {
  const auto first = 1ms * *rc::gen::inRange(1, 100);
  const auto most = first * *rc::gen::inRange(1, 20);
  circuit_breaker breaker{first, most};
  circuit_breaker::time_point now{1h};
  auto closes_at = now;
  int n_failures = 0;
  for (const auto& [is_failure, wait_ms] :
       *rc::gen::container<std::vector<std::pair<bool, int>>>(rc::gen::pair(
           rc::gen::weightedElement<bool>({{3, true}, {1, false}}), rc::gen::inRange(0, 2000)))) {
    if (is_failure) {
      closes_at =
          now + std::min<std::chrono::milliseconds>(most, first * (1LL << std::min(n_failures++, 20)));
      breaker.note_failure(now);
    } else {
      n_failures = 0;
      closes_at = now;
      breaker.note_success();
    }
    now += 1ms * wait_ms;
    RC_ASSERT(breaker.is_open(now) == (now < closes_at));
    if (breaker.is_open(now))
      RC_ASSERT(breaker.time_left(now) == closes_at - now);
  }
}

RC_GTEST_PROP(RedisKeys, ReadsWhatItWrote, (const std::array<std::uint8_t, 32>& bytes)) {
  const key_digest digest{bytes};
  const owned_entry owned{to_hex(digest), *rc::gen::element<std::string>("", "set", "set:1@2")};
  RC_ASSERT(owned_entry::parse(owned.text()) == owned);
  const redis_keys keys{*testing::unicode_text()};
  RC_ASSERT(digest_from_hex(keys.exact_of(keys.entry(to_hex(digest)))) == digest);
}

TEST(RedisKeys, ReadsNoOther) {
  const auto hex = to_hex(key_digest{});
  for (const auto& wrong :
       {hex.substr(1), hex + "0", "g" + hex.substr(1), std::string{}, "-" + hex.substr(1)})
    EXPECT_FALSE(owned_entry::parse(wrong)) << wrong;
}

RC_GTEST_PROP(ChangePosition, IsReadAsItIsWritten,
              (std::uint32_t cursor, std::uint32_t time, std::uint32_t number)) {
  change_position position{*rc::gen::element<std::string>("", "0f3a"), std::to_string(cursor),
                           std::to_string(time) + "-" + std::to_string(number)};
  if (*rc::gen::arbitrary<bool>())
    position.cursor.clear();
  RC_ASSERT(change_position::parse(position.text()) == position);
}

RC_GTEST_PROP(ChangePosition, ReadsAnyTextOrRefusesIt, ()) {
  const auto text = *rc::gen::container<std::string>(rc::gen::element(' ', '-', '0', '1', 'a'));
  if (const auto read = change_position::parse(text))
    RC_ASSERT(read->text() == text);
}

/// One that does what a test wants of it.
class listener {
public:
  listener() {
    auto local = sockaddr_un{};
    local.sun_family = AF_UNIX;
    std::strcpy(local.sun_path, path().c_str());
    descriptor_ = ::socket(AF_UNIX, SOCK_STREAM, 0);
    bind(descriptor_, reinterpret_cast<const sockaddr*>(&local), sizeof local);
    listen(descriptor_, 1);
  }
  ~listener() { close(descriptor_); }
  std::string path() const { return folder_.path() / "socket"; }
  int accept() const { return ::accept(descriptor_, nullptr, nullptr); }

private:
  testing::scratch_folder folder_;
  int descriptor_ = -1;
};

result<stream_socket> connected(const listener& to) {
  redis_endpoint endpoint{at_path(to.path())};
  return stream_socket::connect(endpoint.find(deadline_in(1s))->front(), deadline_in(1s));
}

TEST(StreamSocket, FailsWithoutASignalWhenTheOtherSideIsGone) {
  const listener server;
  auto socket = connected(server);
  ASSERT_TRUE(socket) << socket.error();
  EXPECT_FALSE(socket->is_readable());
  close(server.accept());
  EXPECT_TRUE(socket->is_readable());
  EXPECT_FALSE(socket->send("question", deadline_in(1s)));
  std::array<char, 8> bytes;
  EXPECT_FALSE(socket->receive(bytes, deadline_in(1s)));
}

TEST(StreamSocket, WaitsNoLongerThanItMay) {
  const listener server;
  auto socket = connected(server);
  ASSERT_TRUE(socket) << socket.error();
  const auto start = std::chrono::steady_clock::now();
  std::array<char, 8> bytes;
  EXPECT_FALSE(socket->receive(bytes, start + 20ms));
  EXPECT_FALSE(socket->send(std::string(1 << 24, 'x'), start + 40ms));
  EXPECT_GE(std::chrono::steady_clock::now() - start, 40ms);
  EXPECT_LT(std::chrono::steady_clock::now() - start, 10s);
}

TEST(RedisEndpoint, FindsAddressesOfNumbersAndSaysWhatItDoesNotFind) {
  EXPECT_EQ(redis_endpoint{at_host("127.0.0.1")}.find(deadline_in(10s))->size(), 1U);
  EXPECT_EQ(redis_endpoint{at_host("::1")}.find(deadline_in(10s))->front().storage.ss_family, AF_INET6);
  EXPECT_FALSE(redis_endpoint{at_host("no host")}.find(deadline_in(10s)));
  EXPECT_FALSE(redis_endpoint{at_path("/" + std::string(200, 'x'))}.find(deadline_in(10s)));
}

} // namespace
} // namespace souffleur
