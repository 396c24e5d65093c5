#include "net/server.hpp"

#include "net/connection.hpp"
#include "net/http_routes.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <spdlog/spdlog.h>

#include <atomic>
#include <future>
#include <thread>

namespace souffleur {

namespace {

using asio::ip::tcp;
using boost::system::error_code;

constexpr std::chrono::seconds stop_grace{3};

asio::awaitable<void> pause(asio::io_context& io, std::chrono::milliseconds time) {
  asio::steady_timer timer{io, time};
  co_await timer.async_wait(asio::use_awaitable);
}

asio::awaitable<void> serve_counted(tcp::socket socket, context_ptr context) {
  ++context->n_connections;
  try {
    error_code ignored;
    socket.set_option(tcp::no_delay{true}, ignored);
    co_await serve_http(beast::tcp_stream{std::move(socket)}, context);
  } catch (const std::exception& error) {
    spdlog::error("a connection ended with an unexpected error: {}", error.what());
  }
  --context->n_connections;
}

class io_thread_server final : public server {
public:
  io_thread_server(const server_options& options, generation_service& service, embedding_service* embedding)
      : context_(std::make_shared<server_context>(options, service, embedding)), acceptor_(context_->io) {}

  ~io_thread_server() override { stop(); }

  /// Empty, or why the address cannot be served.
  std::string listen() {
    const auto& options = context_->options;
    const auto fault = [&](const error_code& error) {
      return "cannot listen on " + options.address + ":" + std::to_string(options.port) + ": " +
             error.message();
    };
    error_code error;
    const auto address = asio::ip::make_address(options.address, error);
    if (error)
      return "server.address: \"" + options.address + "\" is not an IP address";
    const tcp::endpoint endpoint{address, options.port};
    if (acceptor_.open(endpoint.protocol(), error); error)
      return fault(error);
    acceptor_.set_option(asio::socket_base::reuse_address(true), error);
    if (acceptor_.bind(endpoint, error); error)
      return fault(error);
    if (acceptor_.listen(asio::socket_base::max_listen_connections, error); error)
      return fault(error);
    port_ = acceptor_.local_endpoint(error).port();
    asio::co_spawn(context_->io, accept(), asio::detached);
    thread_ = std::thread([context = context_] { context->io.run(); });
    return "";
  }

  std::uint16_t port() const override { return port_; }

  void stop() override {
    if (!thread_.joinable())
      return;
    std::promise<void> closed;
    asio::co_spawn(context_->io, close_all(), [&closed](const std::exception_ptr&) { closed.set_value(); });
    closed.get_future().wait();
    context_->io.stop();
    thread_.join();
  }

private:
  asio::awaitable<void> accept() {
    while (!context_->stopping) {
      error_code error;
      tcp::socket socket{context_->io};
      co_await acceptor_.async_accept(socket, result_in(error));
      if (error == asio::error::operation_aborted)
        co_return;
      if (error) { // out of descriptors, as a rule: those who are here may leave
        spdlog::warn("cannot accept a connection: {}", error.message());
        co_await pause(context_->io, std::chrono::milliseconds{100});
        continue;
      }
      if (context_->n_connections >= context_->options.max_connections)
        refuse(socket);
      else
        asio::co_spawn(context_->io, serve_counted(std::move(socket), context_), asio::detached);
    }
  }

  static void refuse(tcp::socket& socket) {
    const auto body = error_reply({503, "busy", "The server has too many connections.", "", 1}).body;
    const auto answer = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\n"
                        "Content-Type: application/json\r\nContent-Length: " +
                        std::to_string(body.size()) + "\r\n\r\n" + body;
    error_code ignored;
    socket.non_blocking(true, ignored);
    socket.send(asio::buffer(answer), 0, ignored);
    socket.close(ignored);
  }

  asio::awaitable<void> close_all() {
    context_->stopping = true;
    error_code ignored;
    acceptor_.close(ignored);
    for (auto* listener : context_->stop_listeners)
      listener->on_stop();
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
  tcp::acceptor acceptor_;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

} // namespace

result<std::unique_ptr<server>> server::start(const server_options& options, generation_service& service,
                                              embedding_service* embedding) {
  auto made = std::make_unique<io_thread_server>(options, service, embedding);
  if (auto why = made->listen(); !why.empty())
    return failure{why};
  return std::unique_ptr<server>{std::move(made)};
}

} // namespace souffleur
