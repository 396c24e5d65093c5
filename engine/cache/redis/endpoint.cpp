#include "engine/cache/redis/endpoint.hpp"

#include <cstring>
#include <memory>
#include <netdb.h>
#include <sys/un.h>
#include <system_error>
#include <thread>

namespace souffleur {

namespace {

result<std::vector<socket_address>> unix_address(const std::string& path) {
  sockaddr_un local{};
  if (path.size() >= sizeof local.sun_path)
    return failure{"the path of the Unix socket is too long: " + path};
  local.sun_family = AF_UNIX;
  std::memcpy(local.sun_path, path.data(), path.size());
  socket_address made;
  made.n_bytes = sizeof local;
  std::memcpy(&made.storage, &local, sizeof local);
  return std::vector{made};
}

found_addresses look_up(const std::string& host, int port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* first = nullptr;
  const int error = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &first);
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner{first, &freeaddrinfo};
  if (error != 0)
    return {{}, gai_strerror(error)};
  found_addresses found;
  for (const auto* info = first; info != nullptr; info = info->ai_next) {
    auto& address = found.addresses.emplace_back();
    address.n_bytes = info->ai_addrlen;
    std::memcpy(&address.storage, info->ai_addr, info->ai_addrlen);
  }
  return found;
}

} // namespace

result<std::vector<socket_address>> redis_endpoint::find(deadline until) {
  if (!address_.path.empty())
    return unix_address(address_.path);
  const auto what = "looking up " + address_.host + ": ";
  if (!pending_.valid()) {
    std::packaged_task<found_addresses()> task{
        [host = address_.host, port = address_.port] { return look_up(host, port); }};
    pending_ = task.get_future();
    try {
      std::thread{std::move(task)}.detach();
    } catch (const std::system_error& error) {
      pending_ = {};
      return failure{what + error.what()};
    }
  }
  if (pending_.wait_until(until) != std::future_status::ready)
    return failure{what + "no answer in time"};
  auto found = pending_.get();
  if (found.addresses.empty())
    return failure{what + found.error};
  return std::move(found.addresses);
}

} // namespace souffleur
