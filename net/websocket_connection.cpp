#include "net/websocket_connection.hpp"

#include "net/stream_protocol.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/field.hpp>
#include <boost/beast/http/rfc7230.hpp>
#include <boost/beast/websocket.hpp>

#include <map>

namespace souffleur {

namespace {

namespace websocket = beast::websocket;
using boost::system::error_code;
using upgrade_request = beast::http::request<beast::http::string_body>;

bool offers_subprotocol(const upgrade_request& upgrade) {
  beast::http::token_list offered{upgrade[beast::http::field::sec_websocket_protocol]};
  return offered.exists(beast::string_view{stream_subprotocol.data(), stream_subprotocol.size()});
}

/// A reader (run) and a writer (write_frames) on one thread; whichever ends first ends the other.
class websocket_connection final : public stop_listener,
                                   public std::enable_shared_from_this<websocket_connection> {
public:
  websocket_connection(client_stream stream, std::string tenant, context_ptr context)
      : socket_(std::move(stream)), tenant_(std::move(tenant)), context_(std::move(context)),
        mailbox_(std::make_shared<event_mailbox>(context_)), write_guard_(context_->io) {
    mailbox_->on_overflow = [this] { beast::get_lowest_layer(socket_).close(); };
    context_->stop_listeners.insert(this);
  }
  ~websocket_connection() { context_->stop_listeners.erase(this); }
  websocket_connection(const websocket_connection&) = delete;
  websocket_connection& operator=(const websocket_connection&) = delete;

  void on_stop() override {} // the writer hears of it through the mailbox
  void on_stop_overdue() override { beast::get_lowest_layer(socket_).close(); }

  asio::awaitable<void> run(const upgrade_request& upgrade) {
    if (!co_await accept(upgrade))
      co_return;
    asio::co_spawn(
        context_->io, [self = shared_from_this()] { return self->write_frames(); }, asio::detached);
    co_await read_frames();
    closed_ = true;
    mailbox_->cancel_all();
    mailbox_->wake();
  }

private:
  struct live_stream {
    stream_outbox outbox;
    request_id request = 0;
  };

  asio::awaitable<bool> accept(const upgrade_request& upgrade) {
    beast::get_lowest_layer(socket_).expires_never(); // the WebSocket has timeouts of its own
    auto timeouts = websocket::stream_base::timeout::suggested(beast::role_type::server);
    timeouts.idle_timeout = context_->options.idle_timeout;
    socket_.set_option(timeouts);
    socket_.read_message_max(context_->options.max_body_bytes);
    const bool chosen = offers_subprotocol(upgrade);
    socket_.set_option(websocket::stream_base::decorator([chosen](websocket::response_type& response) {
      response.set(beast::http::field::server, "souffleur");
      if (chosen)
        response.set(beast::http::field::sec_websocket_protocol,
                     beast::string_view{stream_subprotocol.data(), stream_subprotocol.size()});
    }));
    error_code error;
    co_await socket_.async_accept(upgrade, result_in(error));
    co_return !error;
  }

  asio::awaitable<void> read_frames() {
    beast::flat_buffer buffer;
    error_code error;
    for (;;) {
      co_await socket_.async_read(buffer, result_in(error));
      if (error)
        co_return;
      if (!socket_.got_text())
        close_with(websocket::close_code::unknown_data, "frames must be text");
      else if (!close_reason_)
        obey(beast::buffers_to_string(buffer.data()));
      buffer.consume(buffer.size());
      mailbox_->wake();
    }
  }

  void obey(const std::string& frame) {
    auto command = parse_stream_command(frame, context_->service.model().name);
    if (auto* refused = std::get_if<refused_command>(&command)) {
      refuse(*refused);
      return;
    }
    auto& understood = std::get<stream_command>(command);
    if (auto* generate = std::get_if<generate_command>(&understood))
      begin(std::move(*generate));
    else if (const auto* credit = std::get_if<credit_command>(&understood))
      grant(*credit);
    else
      cancel(std::get<cancel_command>(understood));
  }

  void begin(generate_command command) {
    if (streams_.count(command.stream) > 0)
      return refuse({command.stream, {400, "duplicate_stream", "This stream is still running.", "id", 0}});
    if (static_cast<int>(streams_.size()) >= context_->options.max_streams)
      return refuse(
          {command.stream,
           {429, "too_many_streams",
            "A connection may have " + std::to_string(context_->options.max_streams) + " live streams.", "id",
            1}});
    command.request.tenant = tenant_;
    live_stream stream{{command.stream, context_->service.model().name, command.credit}, 0};
    stream.request = mailbox_->submit(std::move(command.request));
    stream_of_[stream.request] = command.stream;
    streams_.emplace(command.stream, std::move(stream));
  }

  /// Null, after telling the client so, if there is no such stream.
  live_stream* find_stream(const std::string& name) {
    const auto found = streams_.find(name);
    if (found != streams_.end())
      return &found->second;
    refuse({name, {404, "unknown_stream", "There is no such stream, or it has ended.", "id", 0}});
    return nullptr;
  }

  void grant(const credit_command& command) {
    if (auto* stream = find_stream(command.stream))
      stream->outbox.grant(command.n_tokens);
  }

  void cancel(const cancel_command& command) {
    if (auto* stream = find_stream(command.stream)) {
      stream->outbox.abandon();
      mailbox_->cancel(stream->request);
    }
  }

  void refuse(const refused_command& refused) {
    constexpr std::size_t max_refusals = 256;
    if (refusals_.size() < max_refusals)
      refusals_.push_back(refusal_frame(refused));
    else
      close_with(websocket::close_code::policy_error, "too many refused frames");
  }

  asio::awaitable<void> write_frames() {
    const auto self = shared_from_this();
    while (!closed_) {
      sort_events();
      auto frame = next_frame();
      if (!frame) {
        if (context_->stopping)
          close_with(websocket::close_code::going_away, "the server is shutting down");
        else
          check_held_tokens();
        if (close_reason_)
          break;
        co_await mailbox_->wait();
        continue;
      }
      if (!co_await write(*frame))
        break;
    }
    if (!closed_)
      co_await close();
    beast::get_lowest_layer(socket_).close();
  }

  void sort_events() {
    for (auto& delivered : mailbox_->take()) {
      const auto name = stream_of_.find(delivered.from);
      if (name != stream_of_.end())
        streams_.at(name->second).outbox.push(std::move(delivered.event));
    }
  }

  /// Refusals first, then the streams in turn.
  std::optional<std::string> next_frame() {
    if (!refusals_.empty()) {
      auto frame = std::move(refusals_.front());
      refusals_.pop_front();
      return frame;
    }
    auto at = streams_.upper_bound(last_served_);
    for (std::size_t i = 0; i < streams_.size(); ++i, ++at) {
      if (at == streams_.end())
        at = streams_.begin();
      if (auto frame = at->second.outbox.next()) {
        last_served_ = at->first;
        if (at->second.outbox.finished()) {
          stream_of_.erase(at->second.request);
          streams_.erase(at);
        }
        return frame;
      }
    }
    return std::nullopt;
  }

  void check_held_tokens() {
    std::size_t n = 0;
    for (const auto& [name, stream] : streams_)
      n += stream.outbox.n_held_tokens();
    if (n > context_->options.max_held_tokens)
      close_with(websocket::close_code::policy_error, "too many tokens wait for credit");
  }

  asio::awaitable<bool> write(const std::string& frame) {
    error_code error;
    guard();
    socket_.text(true);
    co_await socket_.async_write(asio::buffer(frame), result_in(error));
    write_guard_.cancel();
    co_return !error;
  }

  /// Cuts off a client that takes nothing for the write timeout.
  void guard() {
    write_guard_.expires_after(context_->options.write_timeout);
    write_guard_.async_wait([weak = weak_from_this()](const error_code& error) {
      if (const auto self = weak.lock(); self && !error)
        beast::get_lowest_layer(self->socket_).close();
    });
  }

  void close_with(websocket::close_code code, const char* why) {
    if (!close_reason_)
      close_reason_ = websocket::close_reason{code, why};
    mailbox_->wake();
  }

  asio::awaitable<void> close() {
    error_code ignored;
    guard();
    const auto reason =
        close_reason_.value_or(websocket::close_reason{websocket::close_code::internal_error});
    co_await socket_.async_close(reason, result_in(ignored));
    write_guard_.cancel();
  }

  websocket::stream<client_stream> socket_;
  std::string tenant_;
  context_ptr context_;
  std::shared_ptr<event_mailbox> mailbox_;
  asio::steady_timer write_guard_;
  std::map<std::string, live_stream> streams_;
  std::map<request_id, std::string> stream_of_;
  std::string last_served_;
  std::deque<std::string> refusals_;
  std::optional<websocket::close_reason> close_reason_;
  bool closed_ = false;
};

} // namespace

asio::awaitable<void> serve_websocket(client_stream stream, upgrade_request upgrade, std::string tenant,
                                      context_ptr context) {
  const auto connection =
      std::make_shared<websocket_connection>(std::move(stream), std::move(tenant), std::move(context));
  co_await connection->run(upgrade);
}

} // namespace souffleur
