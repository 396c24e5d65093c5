#include "net/client_stream.hpp"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/websocket/teardown.hpp>

#include <poll.h>

namespace souffleur {

namespace asio = boost::asio;

asio::awaitable<client_stream::error_code>
client_stream::handshake(std::chrono::steady_clock::duration longest) {
  error_code error;
  if (std::holds_alternative<plain_stream>(stream_))
    co_return error;
  expires_after(longest);
  co_await secured().async_handshake(asio::ssl::stream_base::server,
                                     asio::redirect_error(asio::use_awaitable, error));
  expires_never();
  co_return error;
}

asio::awaitable<void> client_stream::shutdown_send() {
  error_code ignored;
  if (std::holds_alternative<std::unique_ptr<secured_stream>>(stream_)) {
    expires_after(std::chrono::seconds{1});
    co_await secured().async_shutdown(asio::redirect_error(asio::use_awaitable, ignored));
    expires_never();
  }
  plain().socket().shutdown(socket_type::shutdown_send, ignored);
}

asio::awaitable<client_stream::error_code> client_stream::wait_readable() {
  error_code error;
  co_await plain().socket().async_wait(socket_type::wait_read,
                                       asio::redirect_error(asio::use_awaitable, error));
  co_return error;
}

void client_stream::cancel_wait() {
  error_code ignored;
  plain().socket().cancel(ignored);
}

bool client_stream::has_hung_up() {
  pollfd asked{plain().socket().native_handle(), POLLRDHUP, 0};
  return poll(&asked, 1, 0) > 0;
}

void client_stream::read_some(const buffer_list<asio::mutable_buffer>& into, transfer_handler done) {
  if (auto* open = std::get_if<plain_stream>(&stream_))
    open->async_read_some(into, std::move(done));
  else
    secured().async_read_some(into, std::move(done));
}

void client_stream::write_some(const buffer_list<asio::const_buffer>& from, transfer_handler done) {
  if (auto* open = std::get_if<plain_stream>(&stream_))
    open->async_write_some(from, std::move(done));
  else
    secured().async_write_some(from, std::move(done));
}

void client_stream::tear_down(boost::beast::role_type role, end_handler done) {
  if (auto* open = std::get_if<plain_stream>(&stream_))
    boost::beast::websocket::async_teardown(role, open->socket(), std::move(done));
  else
    secured().async_shutdown(std::move(done));
}

} // namespace souffleur
