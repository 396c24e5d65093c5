#include "actors/cluster/silent_connections.hpp"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace souffleur;

namespace {

class tcp_socket {
public:
  explicit tcp_socket(int file = socket(AF_INET, SOCK_STREAM, 0)) : file_(file) { EXPECT_GE(file_, 0); }
  ~tcp_socket() { close(file_); }
  tcp_socket(const tcp_socket&) = delete;
  tcp_socket& operator=(const tcp_socket&) = delete;

  std::uint16_t listen() {
    auto address = loopback(0);
    socklen_t size = sizeof address;
    EXPECT_EQ(bind(file_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(file_, 4), 0);
    EXPECT_EQ(getsockname(file_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    return ntohs(address.sin_port);
  }
  void connect(std::uint16_t port) {
    auto address = loopback(port);
    ASSERT_EQ(::connect(file_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }
  int accept() { return ::accept(file_, nullptr, nullptr); }
  unsigned longest_silence_ms() const {
    unsigned ms = 0;
    socklen_t size = sizeof ms;
    EXPECT_EQ(getsockopt(file_, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, &size), 0);
    return ms;
  }

private:
  static sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
  }

  int file_;
};

} // namespace

TEST(SilentConnections, EndAtBothEndsOfAPortAndOfItAlone) {
  tcp_socket listener;
  tcp_socket other_listener;
  const auto port = listener.listen();
  const auto other_port = other_listener.listen();
  tcp_socket caller;
  tcp_socket other_caller;
  caller.connect(port);
  other_caller.connect(other_port);
  const tcp_socket accepted{listener.accept()};
  const tcp_socket other_accepted{other_listener.accept()};
  end_silent_connections(port, std::chrono::milliseconds{1234});
  EXPECT_EQ(caller.longest_silence_ms(), 1234U);
  EXPECT_EQ(accepted.longest_silence_ms(), 1234U);
  for (const auto* untouched : {&other_listener, &other_caller})
    EXPECT_EQ(untouched->longest_silence_ms(), 0U);
  EXPECT_EQ(other_accepted.longest_silence_ms(), 0U);
}

TEST(SilentConnections, EndOfThoseWhoCallLaterToo) {
  tcp_socket listener;
  const auto port = listener.listen();
  end_silent_connections(port, std::chrono::milliseconds{777});
  tcp_socket caller;
  caller.connect(port);
  const tcp_socket accepted{listener.accept()};
  EXPECT_EQ(accepted.longest_silence_ms(), 777U);
  EXPECT_EQ(caller.longest_silence_ms(), 0U);
}
