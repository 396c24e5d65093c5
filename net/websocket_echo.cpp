#include "net/websocket_echo.hpp"

#include "net/websocket_socket.hpp"

#include <boost/beast/core/flat_buffer.hpp>

namespace souffleur {

namespace {

class echo_connection final : public stop_listener {
public:
  echo_connection(client_stream stream, context_ptr context)
      : socket_(std::move(stream)), context_(std::move(context)) {
    context_->stop_listeners.insert(this);
  }
  ~echo_connection() { context_->stop_listeners.erase(this); }
  echo_connection(const echo_connection&) = delete;
  echo_connection& operator=(const echo_connection&) = delete;

  void on_stop() override { beast::get_lowest_layer(socket_).close(); }

  asio::awaitable<void> run(const beast::http::request<beast::http::string_body>& upgrade) {
    set_up(socket_, context_->options, "", 0); // all is compressed that may be
    boost::system::error_code error;
    co_await socket_.async_accept(upgrade, result_in(error));
    beast::flat_buffer buffer;
    while (!error) {
      co_await socket_.async_read(buffer, result_in(error));
      if (error)
        break;
      socket_.text(socket_.got_text());
      co_await socket_.async_write(buffer.data(), result_in(error));
      buffer.consume(buffer.size());
    }
  }

private:
  websocket_socket socket_;
  context_ptr context_;
};

} // namespace

asio::awaitable<void> serve_echo(client_stream stream, beast::http::request<beast::http::string_body> upgrade,
                                 context_ptr context) {
  echo_connection connection{std::move(stream), std::move(context)};
  co_await connection.run(upgrade);
}

} // namespace souffleur
