// A client's connection, whatever it runs over: TCP or a Unix socket, plain or under TLS.
#pragma once

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/role.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <boost/container/static_vector.hpp>

#include <chrono>
#include <memory>
#include <utility>
#include <variant>

namespace souffleur {

/// Beast's AsyncStream, with the timeouts of a basic_stream. One thread at a time.
class client_stream {
public:
  using plain_stream = boost::beast::basic_stream<boost::asio::generic::stream_protocol>;
  using socket_type = plain_stream::socket_type;
  using executor_type = plain_stream::executor_type;
  using error_code = boost::system::error_code;

  explicit client_stream(socket_type socket) : stream_(std::in_place_type<plain_stream>, std::move(socket)) {}
  /// Under TLS, once handshake() is done. `tls` has to outlive the stream.
  client_stream(socket_type socket, boost::asio::ssl::context& tls)
      : stream_(std::make_unique<secured_stream>(plain_stream{std::move(socket)}, tls)) {}

  /// At once if the stream is plain.
  boost::asio::awaitable<error_code> handshake(std::chrono::steady_clock::duration longest);

  executor_type get_executor() { return plain().get_executor(); }
  void expires_after(std::chrono::steady_clock::duration longest) { plain().expires_after(longest); }
  void expires_never() { plain().expires_never(); }
  /// At once, without a word: what is under way ends with an error.
  void close() { plain().close(); }
  /// No more is sent; under TLS the client is told so first, for a second at most.
  boost::asio::awaitable<void> shutdown_send();

  /// Returns when the client has sent something or hung up, or after cancel_wait(): then with an error, and
  /// the stream may be gone.
  boost::asio::awaitable<error_code> wait_readable();
  void cancel_wait();
  /// Whether the client is gone or has said that it sends no more; whatever else it has sent that nobody has
  /// read.
  bool has_hung_up();

  template <class Buffers, class Handler>
  auto async_read_some(const Buffers& buffers, Handler&& handler) {
    return boost::asio::async_initiate<Handler, void(error_code, std::size_t)>(
        [this](auto&& done, const Buffers& into) {
          read_some(first_of<boost::asio::mutable_buffer>(into),
                    erased<error_code, std::size_t>(std::forward<decltype(done)>(done)));
        },
        handler, buffers);
  }

  template <class Buffers, class Handler>
  auto async_write_some(const Buffers& buffers, Handler&& handler) {
    return boost::asio::async_initiate<Handler, void(error_code, std::size_t)>(
        [this](auto&& done, const Buffers& from) {
          write_some(first_of<boost::asio::const_buffer>(from),
                     erased<error_code, std::size_t>(std::forward<decltype(done)>(done)));
        },
        handler, buffers);
  }

  /// How Beast's WebSocket ends a connection.
  template <class Handler>
  friend void async_teardown(boost::beast::role_type role, client_stream& stream, Handler&& handler) {
    stream.tear_down(role, stream.erased<error_code>(std::forward<Handler>(handler)));
  }
  friend void beast_close_socket(client_stream& stream) { stream.close(); }

private:
  // What is below knows nothing of who waits above: else all of it is compiled anew for each of Beast's
  // operations.
  template <class... Results>
  using erased_handler =
      boost::asio::executor_binder<boost::asio::any_completion_handler<void(Results...)>, executor_type>;
  template <class... Results, class Handler>
  erased_handler<Results...> erased(Handler&& handler) {
    const auto executor = boost::asio::get_associated_executor(handler, get_executor());
    return boost::asio::bind_executor(
        executor, boost::asio::any_completion_handler<void(Results...)>{std::forward<Handler>(handler)});
  }
  using transfer_handler = erased_handler<error_code, std::size_t>;
  using end_handler = erased_handler<error_code>;

  static constexpr std::size_t max_buffers = 16; ///< of one call of the system's
  template <class Buffer>
  using buffer_list = boost::container::static_vector<Buffer, max_buffers>;

  template <class Buffer, class Buffers>
  static buffer_list<Buffer> first_of(const Buffers& buffers) {
    buffer_list<Buffer> some;
    const auto end = boost::asio::buffer_sequence_end(buffers);
    for (auto at = boost::asio::buffer_sequence_begin(buffers); at != end && some.size() < max_buffers; ++at)
      if (const Buffer one{*at}; one.size() > 0) // else nothing may be left of a sequence that is not empty
        some.push_back(one);
    return some;
  }
  void read_some(const buffer_list<boost::asio::mutable_buffer>& into, transfer_handler done);
  void write_some(const buffer_list<boost::asio::const_buffer>& from, transfer_handler done);
  void tear_down(boost::beast::role_type role, end_handler done);

  using secured_stream = boost::beast::ssl_stream<plain_stream>;

  secured_stream& secured() { return *std::get<std::unique_ptr<secured_stream>>(stream_); }
  plain_stream& plain() {
    auto* open = std::get_if<plain_stream>(&stream_);
    return open != nullptr ? *open : secured().next_layer();
  }

  std::variant<plain_stream, std::unique_ptr<secured_stream>> stream_;
};

} // namespace souffleur
