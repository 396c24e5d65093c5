#include "net/client/stream_client.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/websocket.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <deque>
#include <map>

namespace souffleur::client {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace json = boost::json;
namespace websocket = beast::websocket;
using boost::system::error_code;
using boost::system::system_error;

namespace {

auto result_in(error_code& error) { return asio::redirect_error(asio::use_awaitable, error); }

std::optional<frame_kind> kind_of(std::string_view type) {
  if (type == "delta")
    return frame_kind::delta;
  if (type == "accepted")
    return frame_kind::accepted;
  if (type == "done")
    return frame_kind::done;
  if (type == "error")
    return frame_kind::error;
  return std::nullopt; // of a later version of the protocol
}

std::string_view string_at(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  const auto* text = value != nullptr ? value->if_string() : nullptr;
  return text != nullptr ? std::string_view{*text} : std::string_view{};
}

} // namespace

std::optional<stream_url> parse_stream_url(std::string_view url) {
  constexpr std::string_view scheme = "ws://";
  if (url.substr(0, scheme.size()) != scheme)
    return std::nullopt;
  url.remove_prefix(scheme.size());
  stream_url parsed;
  const auto slash = url.find('/');
  if (slash != std::string_view::npos)
    parsed.path = url.substr(slash);
  auto authority = url.substr(0, slash);
  const auto colon = authority.rfind(':');
  if (colon != std::string_view::npos && authority.back() != ']') {
    parsed.port = authority.substr(colon + 1);
    authority = authority.substr(0, colon);
  }
  if (authority.size() > 1 && authority.front() == '[' && authority.back() == ']')
    authority = authority.substr(1, authority.size() - 2);
  parsed.host = authority;
  return parsed.host.empty() || parsed.port.empty() ? std::nullopt : std::optional{parsed};
}

std::string_view stream_frame::text() const {
  return kind == frame_kind::delta ? string_at(body, "text") : "";
}

std::size_t stream_frame::n_tokens() const {
  const auto* tokens = kind == frame_kind::delta ? body.if_contains("tokens") : nullptr;
  return tokens != nullptr && tokens->is_array() ? tokens->get_array().size() : 0;
}

std::string_view stream_frame::error_message() const {
  const auto* error = kind == frame_kind::error ? body.if_contains("error") : nullptr;
  return error != nullptr && error->is_object() ? string_at(error->get_object(), "message") : "";
}

/// What has come for one stream and was not read yet.
struct stream_state {
  stream_state(asio::any_io_executor executor, std::string chosen)
      : name(std::move(chosen)), news(executor, asio::steady_timer::time_point::max()) {}

  std::string name;
  std::deque<stream_frame> frames;
  asio::steady_timer news; ///< cancelled when something comes
  bool saw_any = false;
  bool saw_last = false; ///< the last frame has come
  error_code lost;       ///< why no more will come, if the connection ended before it
};

/// A coroutine that sorts frames into their streams, and writes that follow each other while there is
/// something to write. Both hold the connection; it ends when its socket is closed.
class stream_connection : public std::enable_shared_from_this<stream_connection> {
public:
  explicit stream_connection(asio::any_io_executor executor) : socket_(executor) {}

  asio::awaitable<void> open(stream_url url, connect_options options) {
    asio::ip::tcp::resolver resolver{socket_.get_executor()};
    auto& tcp = beast::get_lowest_layer(socket_);
    const auto found = co_await resolver.async_resolve(url.host, url.port, asio::use_awaitable);
    tcp.expires_after(std::chrono::seconds{30});
    co_await tcp.async_connect(found, asio::use_awaitable);
    tcp.expires_never();
    tcp.socket().set_option(asio::ip::tcp::no_delay{true});
    auto timeouts = websocket::stream_base::timeout::suggested(beast::role_type::client);
    timeouts.idle_timeout = options.silence;
    timeouts.keep_alive_pings = true;
    socket_.set_option(timeouts);
    socket_.read_message_max(std::size_t{64} << 20);
    socket_.set_option(
        websocket::stream_base::decorator([key = options.api_key](websocket::request_type& request) {
          request.set(beast::http::field::sec_websocket_protocol, "souffleur.v1");
          if (!key.empty())
            request.set(beast::http::field::authorization, "Bearer " + key);
        }));
    co_await socket_.async_handshake(url.host + ":" + url.port, url.path, asio::use_awaitable);
    open_ = true;
    asio::co_spawn(
        socket_.get_executor(), [self = shared_from_this()] { return self->read_frames(); }, asio::detached);
  }

  std::shared_ptr<stream_state> begin(json::object request) {
    auto name = "s" + std::to_string(++n_begun_);
    auto state = std::make_shared<stream_state>(socket_.get_executor(), name);
    request["type"] = "generate";
    request["id"] = name;
    if (open_)
      streams_.emplace(std::move(name), state);
    else
      state->lost = asio::error::not_connected;
    send(std::move(request));
    return state;
  }

  void send(json::object frame) {
    if (!open_)
      return;
    outgoing_.push_back(json::serialize(frame));
    if (outgoing_.size() == 1)
      write_first();
  }

  /// Nobody will read it any more.
  void forget(const stream_state& state) { streams_.erase(state.name); }

  bool is_open() const { return open_; }
  asio::awaitable<void> close() {
    error_code ignored;
    if (open_)
      co_await socket_.async_close(websocket::close_code::normal, result_in(ignored));
    cut();
  }
  void cut() {
    open_ = false;
    beast::get_lowest_layer(socket_).close();
  }

private:
  asio::awaitable<void> read_frames() {
    beast::flat_buffer buffer;
    error_code error;
    for (;;) {
      co_await socket_.async_read(buffer, result_in(error));
      if (error)
        break;
      const auto arrived = std::chrono::steady_clock::now();
      take({static_cast<const char*>(buffer.data().data()), buffer.size()}, arrived);
      buffer.consume(buffer.size());
    }
    cut();
    for (const auto& [name, state] : streams_) {
      state->lost = error;
      state->news.cancel();
    }
    streams_.clear();
  }

  void take(std::string_view text, std::chrono::steady_clock::time_point arrived) {
    error_code error;
    auto parsed = json::parse(text, error);
    auto* body = error ? nullptr : parsed.if_object();
    if (body == nullptr)
      return;
    const auto kind = kind_of(string_at(*body, "type"));
    const auto found = streams_.find(string_at(*body, "id"));
    if (!kind || found == streams_.end())
      return;
    // An error without a seq answers a command, say a cancel that came too late, and leaves a stream running
    // that has begun.
    const auto state = found->second;
    if (*kind == frame_kind::error && body->if_contains("seq") == nullptr && state->saw_any)
      return;
    state->saw_any = true;
    state->frames.push_back({*kind, std::move(*body), arrived});
    if (state->frames.back().is_last()) {
      state->saw_last = true;
      streams_.erase(found);
    }
    state->news.cancel();
  }

  /// At once, without a turn of the executor before: a caller that sends at a given time is on time.
  void write_first() {
    socket_.async_write(asio::buffer(outgoing_.front()),
                        [self = shared_from_this()](const error_code& error, std::size_t) {
                          if (!error)
                            return self->write_next();
                          self->outgoing_.clear();
                          self->cut();
                        });
  }
  void write_next() {
    outgoing_.pop_front();
    if (!outgoing_.empty())
      write_first();
  }

  websocket::stream<beast::tcp_stream> socket_;
  std::map<std::string, std::shared_ptr<stream_state>, std::less<>> streams_;
  std::deque<std::string> outgoing_; ///< the front one is being written
  std::uint64_t n_begun_ = 0;
  bool open_ = false;
};

generation_stream::generation_stream(std::shared_ptr<stream_connection> connection,
                                     std::shared_ptr<stream_state> state)
    : connection_(std::move(connection)), state_(std::move(state)) {}

generation_stream::~generation_stream() {
  if (!state_ || state_->saw_last || state_->lost)
    return;
  cancel();
  connection_->forget(*state_);
}

asio::awaitable<std::optional<stream_frame>> generation_stream::next() {
  const auto state = state_;
  while (state->frames.empty()) {
    if (state->saw_last)
      co_return std::nullopt;
    if (state->lost)
      throw system_error{state->lost, "the WebSocket ended before its stream"};
    error_code cancelled;
    co_await state->news.async_wait(result_in(cancelled));
  }
  auto frame = std::move(state->frames.front());
  state->frames.pop_front();
  co_return frame;
}

void generation_stream::grant(std::int64_t n_tokens) {
  connection_->send({{"type", "credit"}, {"id", state_->name}, {"tokens", n_tokens}});
}

void generation_stream::cancel() { connection_->send({{"type", "cancel"}, {"id", state_->name}}); }

asio::awaitable<stream_client> stream_client::connect(std::string url, connect_options options) {
  auto parsed = parse_stream_url(url);
  if (!parsed)
    throw system_error{asio::error::invalid_argument, "\"" + url + "\" is not ws://HOST:PORT/PATH"};
  const auto connection = std::make_shared<stream_connection>(co_await asio::this_coro::executor);
  co_await connection->open(std::move(*parsed), std::move(options));
  co_return stream_client{connection};
}

stream_client::~stream_client() {
  if (connection_)
    connection_->cut();
}

generation_stream stream_client::generate(json::object request) {
  return {connection_, connection_->begin(std::move(request))};
}

bool stream_client::is_open() const { return connection_->is_open(); }

asio::awaitable<void> stream_client::close() { return connection_->close(); }

} // namespace souffleur::client
