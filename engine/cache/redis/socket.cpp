#include "engine/cache/redis/socket.hpp"

#include <cerrno>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <optional>
#include <poll.h>
#include <string>
#include <system_error>
#include <unistd.h>

namespace souffleur {

namespace {

failure system_failure(const char* what, int error) {
  return failure{std::string{what} + ": " + std::generic_category().message(error)};
}

/// Nothing when it is ready.
std::optional<failure> wait_for(int descriptor, short events, const char* what, deadline until) {
  pollfd polled{descriptor, events, 0};
  while (true) {
    const int n_ready = poll(&polled, 1, milliseconds_left(until));
    if (n_ready > 0)
      return std::nullopt;
    if (n_ready == 0)
      return failure{std::string{what} + ": no answer in time"};
    if (errno != EINTR)
      return system_failure(what, errno);
  }
}

bool has_to_wait(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == EINTR; }

} // namespace

stream_socket::~stream_socket() {
  if (descriptor_ >= 0)
    close(descriptor_);
}

result<stream_socket> stream_socket::connect(const socket_address& address, deadline until) {
  constexpr const char* what = "connecting";
  const int family = address.storage.ss_family;
  stream_socket made{::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
  if (made.descriptor_ < 0)
    return system_failure(what, errno);
  if (family != AF_UNIX) {
    const int on = 1;
    setsockopt(made.descriptor_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(made.descriptor_, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  }
  const auto* to = reinterpret_cast<const sockaddr*>(&address.storage);
  if (::connect(made.descriptor_, to, address.n_bytes) == 0)
    return made;
  // EAGAIN: the backlog of a Unix socket is full, and nothing would tell when it is not.
  if (errno != EINPROGRESS && errno != EINTR)
    return system_failure(what, errno);
  if (auto failed = wait_for(made.descriptor_, POLLOUT, what, until))
    return *std::move(failed);
  int error = 0;
  socklen_t n_bytes = sizeof error;
  if (getsockopt(made.descriptor_, SOL_SOCKET, SO_ERROR, &error, &n_bytes) != 0 || error != 0)
    return system_failure(what, error);
  return made;
}

bool stream_socket::is_readable() const {
  pollfd polled{descriptor_, POLLIN, 0};
  return poll(&polled, 1, 0) != 0;
}

result<std::monostate> stream_socket::send(std::string_view bytes, deadline until) {
  while (!bytes.empty()) {
    const auto n_sent = ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n_sent > 0)
      bytes.remove_prefix(static_cast<std::size_t>(n_sent));
    else if (!has_to_wait(errno))
      return system_failure("sending", errno);
    else if (auto failed = wait_for(descriptor_, POLLOUT, "sending", until))
      return *std::move(failed);
  }
  return std::monostate{};
}

result<std::size_t> stream_socket::receive(std::span<char> into, deadline until) {
  while (true) {
    const auto n_received = ::recv(descriptor_, into.data(), into.size(), 0);
    if (n_received > 0)
      return static_cast<std::size_t>(n_received);
    if (n_received == 0)
      return failure{"receiving: the server closed the connection"};
    if (!has_to_wait(errno))
      return system_failure("receiving", errno);
    if (auto failed = wait_for(descriptor_, POLLIN, "receiving", until))
      return *std::move(failed);
  }
}

} // namespace souffleur
