#include "net/websocket_connection.hpp"

#include "net/stream/frame_rate.hpp"
#include "net/stream/session.hpp"
#include "net/stream/subprotocol.hpp"
#include "net/trace_events.hpp"
#include "net/websocket_socket.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/core/flat_buffer.hpp>

namespace souffleur {

namespace {

namespace websocket = beast::websocket;
using boost::system::error_code;
using upgrade_request = beast::http::request<beast::http::string_body>;

stream_time now() { return std::chrono::steady_clock::now(); }

std::string subprotocol_of(const upgrade_request& upgrade) {
  const auto offers = upgrade[beast::http::field::sec_websocket_protocol];
  return std::string{choose_subprotocol({offers.data(), offers.size()}).value_or("")};
}

/// A reader (run) and a writer (write_frames) on one thread; whichever ends first ends the other.
class websocket_connection final : public stop_listener,
                                   public stream_host,
                                   public std::enable_shared_from_this<websocket_connection> {
public:
  websocket_connection(client_stream stream, std::string tenant, context_ptr context)
      : socket_(std::move(stream)), context_(std::move(context)), news_(context_), write_guard_(context_->io),
        session_(*this, context_->options.streams, context_->service.model().name, std::move(tenant),
                 [this] { on_news(); }) {
    context_->stop_listeners.insert(this);
  }
  ~websocket_connection() { context_->stop_listeners.erase(this); }
  websocket_connection(const websocket_connection&) = delete;
  websocket_connection& operator=(const websocket_connection&) = delete;

  void on_stop() override {} // the writer hears of it through news_
  void on_stop_overdue() override { cut_off(); }

  asio::awaitable<void> run(upgrade_request upgrade) {
    if (!co_await accept(std::move(upgrade)))
      co_return;
    asio::co_spawn(
        context_->io, [self = shared_from_this()] { return self->write_frames(); }, asio::detached);
    const auto end = co_await read_frames();
    closed_ = true;
    session_.leave(may_come_back(end));
    news_.wake();
  }

  request_id submit(generation_request request, const stream_ptr& to) override {
    return souffleur::submit(context_, std::move(request),
                             [there = std::weak_ptr{to}](request_id from, generation_event event) {
                               if (const auto stream = there.lock())
                                 stream->deliver(from, std::move(event));
                             });
  }
  void cancel(request_id id) override { context_->service.cancel(id); }
  void change(request_id id, const generation_change& change) override {
    context_->service.change(id, change);
  }
  std::string name_of(request_id id) const override {
    return request_name(id, context_->service.model().created_s);
  }
  bool thinks() const override { return context_->service.model().thinks; }
  bool can_be_watched() const override { return context_->observation != nullptr; }
  std::string look(stream_watch& by) override {
    auto frame = by.frame(context_->observation->snapshot(by.last_step(), most_watched_steps),
                          context_->kv_seen.get(), context_->service.model());
    look_at_kv(context_); // for the next one
    return frame;
  }
  void make_resumable(const stream_ptr& added) override { parked().add(added); }
  stream_ptr find_resumable(const std::string& token, const std::string& stream_id,
                            const std::string& tenant) override {
    return parked().find(token, stream_id, tenant);
  }
  void park(const stream_ptr& left) override { context_->parking.park(left); }
  void unpark(const stream& back) override { parked().unpark(back); }
  void forget(const stream& gone) override { parked().forget(gone); }

private:
  resumable_streams& parked() { return context_->parking.streams(); }

  /// Neither side has ended the connection on purpose. A browser that leaves the page says "going away".
  bool may_come_back(const error_code& end) const {
    const auto code = socket_.reason().code;
    const bool is_over = code == websocket::close_code::normal || code == websocket::close_code::none;
    return !close_reason_ && !context_->stopping && !(end == websocket::error::closed && is_over);
  }

  asio::awaitable<bool> accept(upgrade_request upgrade) {
    set_up(socket_, context_->options, subprotocol_of(upgrade));
    error_code error;
    co_await socket_.async_accept(upgrade, result_in(error));
    co_return !error;
  }

  /// Why there are no more.
  asio::awaitable<error_code> read_frames() {
    beast::flat_buffer buffer;
    frame_rate rate{context_->options.max_frames_per_s};
    asio::steady_timer pause{context_->io};
    error_code error;
    for (;;) {
      co_await socket_.async_read(buffer, asio::bind_cancellation_slot(abort_read_.slot(), result_in(error)));
      if (error)
        co_return error;
      if (!socket_.got_text())
        close_with(websocket::close_code::unknown_data, "frames must be text");
      else if (!close_reason_)
        session_.obey({static_cast<const char*>(buffer.data().data()), buffer.size()}, now());
      if (session_.is_flooded())
        close_with(websocket::close_code::policy_error, "too many answers to frames are not taken");
      buffer.consume(buffer.size());
      if (buffer.capacity() > max_idle_buffer_bytes)
        buffer = {};
      news_.wake();
      if (const auto next = rate.took(now()); next > now()) {
        pause.expires_at(next);
        co_await pause.async_wait(result_in(error));
      }
    }
  }

  void on_news() {
    news_.wake();
    // The client does not even take what is being written.
    if (is_writing_ && session_.n_sendable_tokens() > context_->options.max_held_tokens)
      beast::get_lowest_layer(socket_).close();
  }

  asio::awaitable<void> write_frames() {
    const auto self = shared_from_this();
    while (!closed_) {
      auto frame = session_.next(now());
      if (!frame) {
        if (context_->stopping)
          close_with(websocket::close_code::going_away, "the server is shutting down");
        else if (session_.n_held_tokens() > context_->options.max_held_tokens)
          close_with(websocket::close_code::policy_error, "too many tokens wait for credit");
        if (close_reason_)
          break;
        co_await news_.wait(session_.due().value_or(stream_time::max()));
        continue;
      }
      if (!co_await write(*frame))
        break;
    }
    if (!closed_)
      co_await close();
    beast::get_lowest_layer(socket_).close();
  }

  asio::awaitable<bool> write(const std::string& frame) {
    error_code error;
    guard();
    socket_.text(true);
    is_writing_ = true;
    const auto request = session_.last_served_request();
    const auto began = now();
    co_await socket_.async_write(asio::buffer(frame), result_in(error));
    is_writing_ = false;
    if (request != 0)
      context_->writes.note(request, {began, now()});
    write_guard_.cancel();
    co_return !error;
  }

  /// Cuts off a client that takes nothing for the write timeout.
  void guard() {
    write_guard_.expires_after(context_->options.write_timeout);
    write_guard_.async_wait([weak = weak_from_this()](const error_code& error) {
      if (const auto self = weak.lock(); self && !error)
        self->cut_off();
    });
  }

  /// Ends reading and closing also where they wait for each other and not for the socket: Beast's close waits
  /// for the reader to step aside, and a reader that has met a breach of the protocol for the end of the
  /// close.
  void cut_off() {
    beast::get_lowest_layer(socket_).close();
    abort_close_.emit(asio::cancellation_type::terminal);
    abort_read_.emit(asio::cancellation_type::terminal);
  }

  void close_with(websocket::close_code code, const char* why) {
    if (!close_reason_)
      close_reason_ = websocket::close_reason{code, why};
    news_.wake();
  }

  asio::awaitable<void> close() {
    if (!close_reason_) // the socket does not take any more
      co_return;
    error_code ignored;
    guard();
    co_await socket_.async_close(*close_reason_,
                                 asio::bind_cancellation_slot(abort_close_.slot(), result_in(ignored)));
    write_guard_.cancel();
  }

  static constexpr std::size_t max_idle_buffer_bytes = 16384;

  websocket_socket socket_;
  context_ptr context_;
  io_signal news_;
  asio::steady_timer write_guard_;
  asio::cancellation_signal abort_read_;
  asio::cancellation_signal abort_close_;
  stream_session session_;
  std::optional<websocket::close_reason> close_reason_;
  bool is_writing_ = false;
  bool closed_ = false;
};

} // namespace

asio::awaitable<void> serve_websocket(client_stream stream, upgrade_request upgrade, std::string tenant,
                                      context_ptr context) {
  const auto connection =
      std::make_shared<websocket_connection>(std::move(stream), std::move(tenant), std::move(context));
  co_await connection->run(std::move(upgrade));
}

} // namespace souffleur
