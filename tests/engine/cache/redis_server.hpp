// A Redis server of the test's own, on a Unix socket in a folder that goes with it.
#pragma once

#include "engine/cache/redis/connection.hpp"
#include "engine/cache/redis_store.hpp"

#include "tests/engine/scratch_folder.hpp"

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <initializer_list>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace souffleur::testing {

enum class redis_version { seven, eight };

/// Empty: there is none. Debian's redis-tools has the server 7.0 under another name: it goes by argv[0].
inline std::string redis_binary(redis_version version) {
  std::vector<std::string> candidates{"/usr/bin/redis-server", "/usr/bin/redis-check-rdb"};
  if (version == redis_version::eight)
    candidates = {SOUFFLEUR_REDIS_8};
  if (const char* named =
          std::getenv(version == redis_version::eight ? "SOUFFLEUR_REDIS_8" : "SOUFFLEUR_REDIS_7"))
    candidates = {named};
  for (const auto& each : candidates)
    if (access(each.c_str(), X_OK) == 0)
      return each;
  return {};
}

class redis_server {
public:
  explicit redis_server(redis_version version, std::vector<std::string> settings = {})
      : binary_(redis_binary(version)), settings_(std::move(settings)) {
    start();
  }
  ~redis_server() { kill(); }
  redis_server(const redis_server&) = delete;
  redis_server& operator=(const redis_server&) = delete;

  void start() {
    std::vector<std::string> words{"redis-server", "--port", "0", "--unixsocket", socket_path(), "--dir",
                                   folder_.path(), "--save", "", "--loglevel", "warning", "--logfile", "log",
                                   // so that "about so many" is nearly exact
                                   "--stream-node-max-entries", "2"};
    words.insert(words.end(), settings_.begin(), settings_.end());
    std::vector<char*> arguments;
    for (auto& word : words)
      arguments.push_back(word.data());
    arguments.push_back(nullptr);
    process_ = fork();
    if (process_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      execv(binary_.c_str(), arguments.data());
      _exit(127);
    }
    wait_until_it_answers();
  }
  /// As a crash would.
  void kill() {
    if (process_ <= 0)
      return;
    ::kill(process_, SIGKILL);
    waitpid(process_, nullptr, 0);
    process_ = -1;
  }
  void hang() const { ::kill(process_, SIGSTOP); }
  void go_on() const { ::kill(process_, SIGCONT); }

  std::string socket_path() const { return folder_.path() / "redis.sock"; }
  std::string url() const { return "unix://" + socket_path(); }

  /// Null if it is not answered.
  redis_reply command(std::initializer_list<std::string_view> words) const {
    redis_connection connection{
        {.address = {.host = {}, .path = socket_path(), .user = {}, .password = password},
         .connect_timeout = std::chrono::seconds{10}}};
    redis_pipeline pipeline;
    pipeline.add(words);
    auto replies = connection.run(pipeline, deadline_in(std::chrono::seconds{10}));
    return replies ? std::move(replies->front()) : nullptr;
  }
  long long integer(std::initializer_list<std::string_view> words) const {
    const auto reply = command(words);
    return reply ? integer_of(*reply).value_or(-1) : -1;
  }

  std::string password; ///< for `command`

private:
  void wait_until_it_answers() const {
    for (int i = 0; i < 1000; ++i) {
      if (const auto reply = command({"PING"}); reply && text_of(*reply) == "PONG")
        return;
      std::this_thread::sleep_for(std::chrono::milliseconds{20});
    }
    throw std::runtime_error{binary_ + " does not start"};
  }

  scratch_folder folder_;
  std::string binary_;
  std::vector<std::string> settings_;
  pid_t process_ = -1;
};

/// Of a machine that has other things to do, too.
inline redis_store_options patient_options(const std::string& url) {
  constexpr std::chrono::seconds patience{20};
  return {.url = url,
          .lookup_timeout = patience,
          .background_timeout = patience,
          .connect_timeout = patience,
          .first_back_off = std::chrono::milliseconds{1},
          .most_back_off = std::chrono::milliseconds{1},
          .embedder = "test",
          .n_dimensions = 4};
}

inline std::unique_ptr<answer_store> opened(const redis_store_options& options) {
  auto store = open_redis_store(options);
  if (!store)
    throw std::runtime_error{store.error()};
  return std::move(*store);
}

} // namespace souffleur::testing

/// Tests that need a server say so where there is none.
#define SKIP_WITHOUT_REDIS(version)                                                                          \
  if (souffleur::testing::redis_binary(version).empty())                                                     \
  GTEST_SKIP()                                                                                               \
      << "no redis-server: ./check installs redis-tools (7) and tests/requirements.txt (8), or set "         \
         "SOUFFLEUR_REDIS_7 and SOUFFLEUR_REDIS_8"
