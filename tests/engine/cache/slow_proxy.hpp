// A Unix socket that passes on what it gets, after a while.
#pragma once

#include "tests/engine/scratch_folder.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <mutex>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace souffleur::testing {

class slow_proxy {
public:
  explicit slow_proxy(std::string to) : to_(std::move(to)) {
    listener_ = socket_at(path());
    listen(listener_, 16);
    acceptor_ = std::thread{[this] { accept_all(); }};
  }
  ~slow_proxy() {
    is_over_ = true;
    acceptor_.join();
    for (auto& each : passers_)
      each.join();
    close(listener_);
  }
  slow_proxy(const slow_proxy&) = delete;
  slow_proxy& operator=(const slow_proxy&) = delete;

  std::string url() const { return "unix://" + path(); }
  void delay(std::chrono::milliseconds time) { delay_ms_ = static_cast<int>(time.count()); }

private:
  std::string path() const { return folder_.path() / "proxy"; }

  static int connected_or_bound(const std::string& path, decltype(&::connect) what) {
    sockaddr_un local{};
    local.sun_family = AF_UNIX;
    std::strcpy(local.sun_path, path.c_str());
    const int descriptor = ::socket(AF_UNIX, SOCK_STREAM, 0);
    what(descriptor, reinterpret_cast<const sockaddr*>(&local), sizeof local);
    return descriptor;
  }
  static int socket_at(const std::string& path) { return connected_or_bound(path, &::bind); }
  static int socket_to(const std::string& path) { return connected_or_bound(path, &::connect); }

  static bool is_ready(int descriptor) {
    pollfd polled{descriptor, POLLIN, 0};
    return poll(&polled, 1, 10) > 0;
  }

  void accept_all() {
    while (!is_over_)
      if (is_ready(listener_)) {
        const int client = accept(listener_, nullptr, nullptr);
        passers_.emplace_back([this, client] { pass_on(client); });
      }
  }

  void pass_on(int client) const {
    const int server = socket_to(to_);
    while (!is_over_ && pass(client, server) && pass(server, client)) {
    }
    close(client);
    close(server);
  }

  /// False if one side is gone.
  bool pass(int from, int to) const {
    if (!is_ready(from))
      return true;
    std::array<char, 4096> bytes;
    const auto n_bytes = recv(from, bytes.data(), bytes.size(), 0);
    std::this_thread::sleep_for(std::chrono::milliseconds{delay_ms_});
    return n_bytes > 0 && send(to, bytes.data(), static_cast<std::size_t>(n_bytes), MSG_NOSIGNAL) == n_bytes;
  }

  scratch_folder folder_;
  std::string to_;
  int listener_ = -1;
  std::atomic<bool> is_over_ = false;
  std::atomic<int> delay_ms_ = 0;
  std::thread acceptor_;
  std::vector<std::thread> passers_; ///< the acceptor's, until it ends
};

} // namespace souffleur::testing
