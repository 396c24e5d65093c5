#include "engine/cache/redis/connection.hpp"

#include <hiredis/hiredis.h>

#include <array>
#include <charconv>

namespace souffleur {

namespace {

constexpr int oldest_server = 7;

int major_version(std::string_view version) {
  int major = 0;
  std::from_chars(version.data(), version.data() + version.size(), major);
  return major;
}

/// Servers without the command answer with an array of null.
bool knows_command(const redisReply& reply) {
  const auto items = items_of(reply);
  return items.size() == 1 && !items_of(*items[0]).empty();
}

} // namespace

redis_connection::redis_connection(redis_connection_options options)
    : options_(std::move(options)), endpoint_(options_.address),
      breaker_(options_.first_back_off, options_.most_back_off) {}

failure redis_connection::give_up(std::string why) {
  socket_.reset();
  trouble_ = std::move(why);
  breaker_.note_failure(std::chrono::steady_clock::now());
  return failure{options_.address.place() + ": " + trouble_};
}

result<stream_socket> redis_connection::open_socket(deadline until) {
  const auto addresses = endpoint_.find(until);
  if (!addresses)
    return failure{addresses.error()};
  result<stream_socket> tried = failure{"there is no address"};
  for (std::size_t i = 0; i < addresses->size() && !tried; ++i) {
    const auto now = std::chrono::steady_clock::now();
    tried = stream_socket::connect((*addresses)[i],
                                   now + (until - now) / static_cast<int>(addresses->size() - i));
  }
  return tried;
}

result<redis_server_facts> redis_connection::greet(deadline until) {
  const auto& address = options_.address;
  redis_pipeline greeting;
  if (!address.user.empty())
    greeting.add({"AUTH", address.user, address.password});
  else if (!address.password.empty())
    greeting.add({"AUTH", address.password});
  if (address.database != 0)
    greeting.add({"SELECT", std::to_string(address.database)});
  const auto n_required = greeting.n_commands();
  greeting.add({"COMMAND", "INFO", "VADD"});
  greeting.add({"INFO", "server"});
  const auto replies = exchange(greeting, until);
  if (!replies)
    return failure{replies.error()};
  for (std::size_t i = 0; i < n_required; ++i)
    if (const auto error = error_of(*(*replies)[i]))
      return failure{std::string{*error}};
  const auto& command = *(*replies)[n_required];
  if (const auto error = error_of(command); error && error->starts_with("NOAUTH"))
    return failure{std::string{*error}};
  // A user may be allowed to use neither of these.
  const auto info = text_of(*(*replies)[n_required + 1]).value_or("");
  const auto version = info_field(info, "redis_version");
  if (!version.empty() && major_version(version) < oldest_server)
    return failure{"is Redis " + std::string{version} + "; 7.0 is the oldest that will do"};
  return redis_server_facts{std::string{info_field(info, "run_id")}, knows_command(command)};
}

result<std::monostate> redis_connection::connect(deadline until) {
  // Most often it was closed by a server that went away while nothing was asked.
  if (socket_ && socket_->is_readable())
    socket_.reset();
  if (socket_)
    return std::monostate{};
  const auto now = std::chrono::steady_clock::now();
  if (breaker_.is_open(now))
    return failure{options_.address.place() + ": " + trouble_ + "; not tried again for " +
                   std::to_string(breaker_.time_left(now).count()) + " ms"};
  until = std::min(until, now + options_.connect_timeout);
  auto socket = open_socket(until);
  if (!socket)
    return give_up(socket.error());
  socket_.emplace(std::move(*socket));
  reader_ = reply_reader{};
  auto server = greet(until);
  if (!server)
    return give_up(server.error());
  server_ = std::move(*server);
  return std::monostate{};
}

result<std::vector<redis_reply>> redis_connection::exchange(const redis_pipeline& pipeline, deadline until) {
  if (const auto sent = socket_->send(pipeline.bytes(), until); !sent)
    return failure{sent.error()};
  std::vector<redis_reply> replies;
  std::array<char, 1 << 16> buffer;
  while (replies.size() < pipeline.n_commands()) {
    auto reply = reader_.next();
    if (!reply)
      return failure{reply.error()};
    if (*reply) {
      replies.push_back(std::move(*reply));
      continue;
    }
    const auto n_bytes = socket_->receive(buffer, until);
    if (!n_bytes)
      return failure{n_bytes.error()};
    reader_.add(std::span{buffer}.first(*n_bytes));
  }
  return replies;
}

result<std::vector<redis_reply>> redis_connection::run(const redis_pipeline& pipeline, deadline until) {
  if (auto connected = connect(until); !connected)
    return failure{connected.error()};
  auto replies = exchange(pipeline, until);
  if (!replies)
    return give_up(replies.error());
  breaker_.note_success();
  return replies;
}

} // namespace souffleur
