#include "actors/cluster/silent_connections.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <charconv>
#include <filesystem>
#include <string>
#include <vector>

namespace souffleur {

namespace {

std::vector<int> open_files() {
  std::vector<int> found;
  std::error_code unknown;
  for (std::filesystem::directory_iterator at{"/proc/self/fd", unknown}, end; at != end;
       at.increment(unknown)) {
    const auto name = at->path().filename().string();
    if (int number = 0; std::from_chars(name.data(), name.data() + name.size(), number).ec == std::errc{})
      found.push_back(number);
  }
  return found;
}

using name_of = decltype(&getsockname); ///< or getpeername: of a socket's other end

std::uint16_t port_of(int socket, name_of ask) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (ask(socket, reinterpret_cast<sockaddr*>(&address), &size) != 0)
    return 0;
  if (address.ss_family == AF_INET)
    return ntohs(reinterpret_cast<const sockaddr_in&>(address).sin_port);
  if (address.ss_family == AF_INET6)
    return ntohs(reinterpret_cast<const sockaddr_in6&>(address).sin6_port);
  return 0;
}

} // namespace

void end_silent_connections(std::uint16_t port, std::chrono::milliseconds silence) {
  const auto longest_ms = static_cast<unsigned>(silence.count());
  for (const int socket : open_files())
    if (port_of(socket, getsockname) == port || port_of(socket, getpeername) == port)
      setsockopt(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &longest_ms, sizeof longest_ms);
}

} // namespace souffleur
