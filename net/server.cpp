#include "net/server.hpp"

#include "net/connection.hpp"
#include "net/http_routes.hpp"
#include "net/short_slices.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <spdlog/spdlog.h>

#include <future>
#include <optional>
#include <sys/un.h>
#include <thread>
#include <tuple>
#include <type_traits>
#include <unistd.h>

namespace souffleur {

namespace {

using asio::ip::tcp;
using local = asio::local::stream_protocol;
using boost::system::error_code;

constexpr std::chrono::seconds stop_grace{3};

asio::awaitable<void> pause(asio::io_context& io, std::chrono::milliseconds time) {
  asio::steady_timer timer{io, time};
  co_await timer.async_wait(asio::use_awaitable);
}

/// `from`: whose connection it is; nobody's over a Unix socket.
asio::awaitable<void> serve_counted(client_stream stream, std::optional<asio::ip::address> from,
                                    context_ptr context) {
  ++context->n_connections;
  try {
    co_await serve_http(std::move(stream), context);
  } catch (const std::exception& error) {
    spdlog::error("a connection ended with an unexpected error: {}", error.what());
  }
  --context->n_connections;
  if (from)
    context->connections_by_address.leave(*from);
}

void send_at_once(tcp::socket& socket) {
  error_code ignored;
  socket.set_option(tcp::no_delay{true}, ignored);
}
void send_at_once(local::socket&) {}

/// Nothing: over a Unix socket, or the client is gone already.
std::optional<asio::ip::address> address_of(const tcp::socket& socket) {
  error_code error;
  const auto peer = socket.remote_endpoint(error);
  return error ? std::nullopt : std::optional{peer.address()};
}
std::optional<asio::ip::address> address_of(const local::socket&) { return std::nullopt; }

/// Says what is wrong once a while, however often it is.
class rare_complaint {
public:
  void say(const error_code& error) {
    const auto now = std::chrono::steady_clock::now();
    if (now < next_)
      return;
    next_ = now + std::chrono::minutes{1};
    spdlog::warn("cannot accept connections: {}; they wait until others have ended", error.message());
  }

private:
  std::chrono::steady_clock::time_point next_{};
};

constexpr std::string_view unix_prefix = "unix:";

class io_thread_server final : public server {
public:
  io_thread_server(const server_options& options, generation_service& service, embedding_service* embedding,
                   const observation_service* observation, fault_service* faults)
      : context_(std::make_shared<server_context>(options, service, embedding, observation, faults)),
        tcp_(context_->io), local_(context_->io) {}

  ~io_thread_server() override { stop(); }

  /// Empty, or why it cannot be served.
  std::string listen() {
    if (auto why = read_certificate(); !why.empty())
      return why;
    const auto& address = context_->options.address;
    if (auto why = address.starts_with(unix_prefix) ? listen_local(address.substr(unix_prefix.size()))
                                                    : listen_tcp();
        !why.empty())
      return why;
    thread_ = std::thread([context = context_] {
      ask_for_short_slices();
      context->io.run();
    });
    return "";
  }

  std::uint16_t port() const override { return port_; }

  void change_access(server_access access) override {
    asio::post(context_->io, [context = context_, access = std::move(access)] { context->access = access; });
  }

  void stop() override {
    if (!thread_.joinable())
      return;
    std::promise<void> closed;
    asio::co_spawn(context_->io, close_all(), [&closed](const std::exception_ptr&) { closed.set_value(); });
    closed.get_future().wait();
    context_->io.stop();
    thread_.join();
    if (!local_path_.empty())
      ::unlink(local_path_.c_str());
  }

private:
  std::string read_certificate() {
    const auto& [certificate, key] = std::tie(context_->options.tls_certificate, context_->options.tls_key);
    if (certificate.empty() != key.empty())
      return "server.tls_certificate and server.tls_key need each other";
    if (certificate.empty())
      return "";
    tls_ = std::make_unique<asio::ssl::context>(asio::ssl::context::tls_server);
    tls_->set_options(asio::ssl::context::no_tlsv1 | asio::ssl::context::no_tlsv1_1);
    error_code error;
    if (tls_->use_certificate_chain_file(certificate, error); error)
      return "server.tls_certificate: " + certificate + ": " + error.message();
    if (tls_->use_private_key_file(key, asio::ssl::context::pem, error); error)
      return "server.tls_key: " + key + ": " + error.message();
    return "";
  }

  std::string listen_tcp() {
    const auto& options = context_->options;
    error_code error;
    const auto address = asio::ip::make_address(options.address, error);
    if (error)
      return "server.address: \"" + options.address + "\" is neither an IP address nor unix:PATH";
    if (error = open(tcp_, tcp::endpoint{address, options.port}); error)
      return "cannot listen on " + options.address + ":" + std::to_string(options.port) + ": " +
             error.message();
    port_ = tcp_.local_endpoint(error).port();
    asio::co_spawn(context_->io, accept(tcp_), asio::detached);
    return "";
  }

  /// A socket that nobody listens on is one that was left over.
  std::string listen_local(const std::string& path) {
    const auto fault = [&](const std::string& why) { return "cannot listen on unix:" + path + ": " + why; };
    if (path.empty() || path.size() >= sizeof(sockaddr_un::sun_path))
      return fault("the path has to have 1 to " + std::to_string(sizeof(sockaddr_un::sun_path) - 1) +
                   " bytes");
    error_code error;
    const local::endpoint endpoint{path};
    local::socket probe{context_->io};
    if (probe.connect(endpoint, error); !error)
      return fault("somebody listens there already");
    if (error == asio::error::connection_refused)
      ::unlink(path.c_str());
    if (error = open(local_, endpoint); error)
      return fault(error.message());
    local_path_ = path;
    asio::co_spawn(context_->io, accept(local_), asio::detached);
    return "";
  }

  template <class Acceptor, class Endpoint>
  static error_code open(Acceptor& acceptor, const Endpoint& endpoint) {
    error_code error;
    if (acceptor.open(endpoint.protocol(), error); error)
      return error;
    if constexpr (std::is_same_v<Endpoint, tcp::endpoint>)
      acceptor.set_option(asio::socket_base::reuse_address(true), error);
    if (acceptor.bind(endpoint, error); error)
      return error;
    acceptor.listen(asio::socket_base::max_listen_connections, error);
    return error;
  }

  template <class Acceptor>
  asio::awaitable<void> accept(Acceptor& acceptor) {
    rare_complaint complaint;
    while (!context_->stopping) {
      error_code error;
      typename Acceptor::protocol_type::socket socket{context_->io};
      co_await acceptor.async_accept(socket, result_in(error));
      if (error == asio::error::operation_aborted)
        co_return;
      if (error) { // out of descriptors, as a rule: those who are here may leave
        complaint.say(error);
        co_await pause(context_->io, std::chrono::milliseconds{100});
        continue;
      }
      if (context_->n_connections >= context_->options.max_connections) {
        refuse(socket, "The server has too many connections.");
        continue;
      }
      const auto from = address_of(socket);
      if (from &&
          !context_->connections_by_address.enter(*from, context_->options.max_connections_per_address)) {
        refuse(socket, "Your address has too many connections.");
        continue;
      }
      send_at_once(socket);
      client_stream::socket_type taken{std::move(socket)};
      asio::co_spawn(
          context_->io,
          serve_counted(tls_ ? client_stream{std::move(taken), *tls_} : client_stream{std::move(taken)}, from,
                        context_),
          asio::detached);
    }
  }

  /// Under TLS it is cut off without a word: a handshake would cost what is short.
  template <class Socket>
  void refuse(Socket& socket, const char* why) {
    error_code ignored;
    if (tls_) {
      socket.close(ignored);
      return;
    }
    const auto body = error_reply({503, "busy", why, "", 1}).body;
    const auto answer = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\n"
                        "Content-Type: application/json\r\nContent-Length: " +
                        std::to_string(body.size()) + "\r\n\r\n" + body;
    socket.non_blocking(true, ignored);
    socket.send(asio::buffer(answer), 0, ignored);
    socket.close(ignored);
  }

  asio::awaitable<void> close_all() {
    context_->stopping = true;
    error_code ignored;
    tcp_.close(ignored);
    local_.close(ignored);
    for (auto* listener : context_->stop_listeners)
      listener->on_stop();
    context_->parking.close();
    co_await wait_for_connections(stop_grace);
    for (auto* listener : context_->stop_listeners)
      listener->on_stop_overdue();
    co_await wait_for_connections(stop_grace);
  }

  /// Until they and their mailboxes are gone, or the time is over. What was left would never be destroyed:
  /// its coroutines and the I/O context own each other.
  asio::awaitable<void> wait_for_connections(std::chrono::milliseconds time) {
    const auto deadline = std::chrono::steady_clock::now() + time;
    while ((context_->n_connections > 0 || !context_->stop_listeners.empty()) &&
           std::chrono::steady_clock::now() < deadline)
      co_await pause(context_->io, std::chrono::milliseconds{5});
  }

  context_ptr context_;
  std::unique_ptr<asio::ssl::context> tls_; ///< null: none
  tcp::acceptor tcp_;
  local::acceptor local_;
  std::string local_path_;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

} // namespace

result<std::unique_ptr<server>> server::start(const server_options& options, generation_service& service,
                                              embedding_service* embedding,
                                              const observation_service* observation, fault_service* faults) {
  auto made = std::make_unique<io_thread_server>(options, service, embedding, observation, faults);
  if (auto why = made->listen(); !why.empty())
    return failure{why};
  return std::unique_ptr<server>{std::move(made)};
}

} // namespace souffleur
