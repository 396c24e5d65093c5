// A client of Souffleur's WebSocket (subprotocol souffleur.v1) for programs that use Boost.Asio: several
// generations on one connection, each read with `co_await`.
//
//   auto client = co_await stream_client::connect("ws://127.0.0.1:8080/v1/stream");
//   auto answer = client.generate({{"messages", messages}, {"max_tokens", 64}});
//   while (const auto frame = co_await answer.next())
//     std::cout << frame->text();
//
// A client and its streams belong to the executor that `connect` ran on, which has to be one thread or a
// strand.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/json/object.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace souffleur::client {

struct stream_url {
  std::string host;
  std::string port = "80";
  std::string path = "/v1/stream";
};

/// Of ws://HOST[:PORT][/PATH]; none if it is not of this form.
std::optional<stream_url> parse_stream_url(std::string_view url);

enum class frame_kind : std::uint8_t { accepted, delta, done, error };

/// One frame of a stream, as the server sent it.
struct stream_frame {
  frame_kind kind = frame_kind::delta;
  boost::json::object body;
  std::chrono::steady_clock::time_point arrived;

  /// Of a delta; empty for others.
  std::string_view text() const;
  std::size_t n_tokens() const;
  /// Of an error; empty for others.
  std::string_view error_message() const;
  bool is_last() const { return kind == frame_kind::done || kind == frame_kind::error; }
};

struct connect_options {
  std::string api_key; ///< empty: none is sent
  /// A connection that is silent for so long is given up.
  std::chrono::seconds silence{600};
};

class stream_connection;
struct stream_state;

/// One generation. Whoever drops it before its last frame cancels it.
class generation_stream {
public:
  generation_stream(std::shared_ptr<stream_connection> connection, std::shared_ptr<stream_state> state);
  ~generation_stream();
  generation_stream(generation_stream&&) = default;
  generation_stream& operator=(generation_stream&&) = delete;

  /// The next frame; none after the last one. Throws boost::system::system_error if the connection ended
  /// before it.
  boost::asio::awaitable<std::optional<stream_frame>> next();
  /// For a request with "credit": the server may send so many tokens more.
  void grant(std::int64_t n_tokens);
  /// The server ends the generation; its `done` frame still comes.
  void cancel();

private:
  std::shared_ptr<stream_connection> connection_;
  std::shared_ptr<stream_state> state_;
};

/// A connection. Its end is the end of its streams.
class stream_client {
public:
  /// Throws boost::system::system_error.
  static boost::asio::awaitable<stream_client> connect(std::string url, connect_options options);
  // No default argument: g++ 12 destroys those of a coroutine that is awaited twice.
  static boost::asio::awaitable<stream_client> connect(std::string url) {
    return connect(std::move(url), connect_options{});
  }
  explicit stream_client(std::shared_ptr<stream_connection> connection)
      : connection_(std::move(connection)) {}
  ~stream_client();
  stream_client(stream_client&&) = default;
  stream_client& operator=(stream_client&&) = delete;

  /// `request` has what the HTTP endpoints take ("messages" or "prompt", "max_tokens", …), and "credit" if
  /// the tokens are to be granted.
  generation_stream generate(boost::json::object request);
  /// False once the connection has ended.
  bool is_open() const;
  /// The closing handshake.
  boost::asio::awaitable<void> close();

private:
  std::shared_ptr<stream_connection> connection_;
};

} // namespace souffleur::client
