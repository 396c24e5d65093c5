#include "net/stream_parking.hpp"

#include "net/connection.hpp"

namespace souffleur {

stream_parking::stream_parking(server_context& of)
    : context_(of), streams_(of.options.streams.resume, of.options.streams.max_parked_streams),
      timer_(of.io) {}

void stream_parking::park(const std::shared_ptr<stream>& left) {
  cancel(streams_.park(left, std::chrono::steady_clock::now()));
  left->on_news = [this, waits = left.get()] {
    if (waits->runs() && waits->outbox().n_held_tokens() > context_.options.max_held_tokens)
      context_.service.cancel(waits->request());
  };
  left->on_news();
  arm();
}

void stream_parking::close() {
  timer_.cancel();
  cancel(streams_.expire_all());
}

void stream_parking::cancel(const std::vector<std::shared_ptr<stream>>& gone) {
  for (const auto& one : gone)
    if (one->runs())
      context_.service.cancel(one->request());
}

void stream_parking::arm() {
  const auto due = streams_.due();
  if (!due)
    return;
  timer_.expires_at(*due);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (error)
      return;
    cancel(streams_.expire(std::chrono::steady_clock::now()));
    arm();
  });
}

} // namespace souffleur
