// Blocking clients for tests. Their waits have no bound of their own.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket.hpp>
#include <boost/json/parse.hpp>

#include <cstdint>
#include <string>

namespace souffleur::testing {

namespace asio = boost::asio;
namespace beast = boost::beast;

inline std::string post(const std::string& path, const std::string& body,
                        const std::string& version = "HTTP/1.1") {
  return "POST " + path + " " + version + "\r\nHost: x\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + body;
}
inline std::string get(const std::string& path) { return "GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n"; }

inline void connect(asio::ip::tcp::socket& socket, std::uint16_t port) {
  socket.connect({asio::ip::address_v4::loopback(), port});
}

struct http_answer {
  int status = 0;
  std::string body;
  std::string retry_after;
  bool keep_alive = false;
  boost::json::value json() const { return boost::json::parse(body); }
};

class http_client {
public:
  explicit http_client(std::uint16_t port) : socket_(io_) { connect(socket_, port); }

  void send(const std::string& bytes) { asio::write(socket_, asio::buffer(bytes)); }

  http_answer read() {
    beast::http::response<beast::http::string_body> response;
    beast::flat_buffer buffer;
    asio::buffer_copy(buffer.prepare(got_.size()), asio::buffer(got_));
    buffer.commit(got_.size());
    beast::http::read(socket_, buffer, response);
    got_ = beast::buffers_to_string(buffer.data());
    return {static_cast<int>(response.result_int()), response.body(),
            std::string{response[beast::http::field::retry_after]}, response.keep_alive()};
  }
  /// Up to and with `mark`.
  std::string read_until(const std::string& mark) {
    while (got_.find(mark) == std::string::npos)
      more();
    const auto end = got_.find(mark) + mark.size();
    auto text = got_.substr(0, end);
    got_.erase(0, end);
    return text;
  }
  std::string read_line() {
    auto line = read_until("\r\n");
    return line.substr(0, line.size() - 2);
  }
  std::string read_head() { return read_until("\r\n\r\n"); }
  /// Until the server closes, orderly or not.
  std::string read_to_end() {
    boost::system::error_code error;
    std::string rest;
    asio::read(socket_, asio::dynamic_buffer(rest), error);
    return got_ + rest;
  }

private:
  void more() {
    char bytes[65536];
    got_.append(bytes, socket_.receive(asio::buffer(bytes)));
  }

  asio::io_context io_;
  asio::ip::tcp::socket socket_;
  std::string got_;
};

class ws_client {
public:
  explicit ws_client(std::uint16_t port) : socket_(io_) {
    connect(socket_.next_layer(), port);
    socket_.set_option(beast::websocket::stream_base::decorator([](beast::websocket::request_type& request) {
      request.set(beast::http::field::sec_websocket_protocol, "souffleur.v1");
    }));
    beast::websocket::response_type response;
    socket_.handshake(response, "localhost", "/v1/stream");
    subprotocol_ = std::string{response[beast::http::field::sec_websocket_protocol]};
  }

  const std::string& subprotocol() const { return subprotocol_; }
  void send(const std::string& frame) { socket_.write(asio::buffer(frame)); }
  boost::json::value read() {
    beast::flat_buffer buffer;
    socket_.read(buffer);
    return boost::json::parse(beast::buffers_to_string(buffer.data()));
  }
  /// Reads to the server's close frame.
  int close_code() {
    boost::system::error_code error;
    while (!error) {
      beast::flat_buffer buffer;
      socket_.read(buffer, error);
    }
    return socket_.reason().code;
  }
  void close() { socket_.close(beast::websocket::close_code::normal); }

private:
  asio::io_context io_;
  beast::websocket::stream<asio::ip::tcp::socket> socket_;
  std::string subprotocol_;
};

} // namespace souffleur::testing
