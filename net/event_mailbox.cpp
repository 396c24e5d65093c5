#include "net/connection.hpp"

#include "net/stream/watch.hpp"

#include <boost/asio/post.hpp>

#include <atomic>

namespace souffleur {

request_id first_request_id() {
  static std::atomic<request_id> n_servers{0};
  return (n_servers++ << 40) + 1;
}

void look_at_kv(const context_ptr& context) {
  constexpr std::chrono::milliseconds least_age{500};
  const auto now = std::chrono::steady_clock::now();
  if (now - context->kv_asked_at < least_age)
    return;
  context->kv_asked_at = now;
  context->service.ask_kv(most_watched_prefixes, [context](std::optional<kv_summary> found) {
    auto seen = found ? std::make_shared<const kv_summary>(std::move(*found)) : nullptr;
    asio::post(context->io, [to = std::weak_ptr{context}, seen = std::move(seen)] {
      if (const auto there = to.lock())
        there->kv_seen = seen;
    });
  });
}

io_signal::io_signal(context_ptr context) : context_(std::move(context)), timer_(context_->io) {
  context_->stop_listeners.insert(this);
}

io_signal::~io_signal() { context_->stop_listeners.erase(this); }

void io_signal::wake() {
  woken_ = true;
  timer_.cancel();
}

asio::awaitable<void> io_signal::wait(asio::steady_timer::time_point until) {
  while (!woken_ && !context_->stopping && asio::steady_timer::clock_type::now() < until) {
    boost::system::error_code cancelled;
    timer_.expires_at(until);
    co_await timer_.async_wait(result_in(cancelled));
  }
  woken_ = false;
}

event_mailbox::event_mailbox(context_ptr context) : context_(std::move(context)), signal_(context_) {}

event_mailbox::~event_mailbox() { cancel_all(); }

request_id event_mailbox::submit(generation_request request) {
  const auto id = souffleur::submit(context_, std::move(request),
                                    [box = weak_from_this()](request_id from, generation_event event) {
                                      if (const auto there = box.lock())
                                        there->deliver(from, std::move(event));
                                    });
  live_.insert(id);
  return id;
}

void event_mailbox::cancel(request_id id) {
  if (live_.count(id) > 0)
    context_->service.cancel(id);
}

void event_mailbox::cancel_all() {
  for (const auto id : live_)
    context_->service.cancel(id);
}

void event_mailbox::retire() {
  retired_ = true;
  on_overflow = nullptr;
  cancel_all();
  live_.clear();
}

void event_mailbox::deliver(request_id from, generation_event event) {
  if (const auto* delta = std::get_if<generation_delta>(&event))
    n_waiting_tokens_ += delta->tokens.size();
  if (std::holds_alternative<generation_finished>(event) || std::holds_alternative<generation_failed>(event))
    live_.erase(from);
  waiting_.push_back({from, std::move(event)});
  wake();
  if (n_waiting_tokens_ > context_->options.max_held_tokens && on_overflow)
    on_overflow();
}

std::vector<event_mailbox::delivery> event_mailbox::take() {
  n_waiting_tokens_ = 0;
  return std::exchange(waiting_, {});
}

} // namespace souffleur
