#include "net/stream/stream.hpp"

namespace souffleur {

stream::stream(std::string id, std::string tenant, stream_outbox outbox, std::size_t max_conversation_bytes)
    : id_(std::move(id)), tenant_(std::move(tenant)), max_conversation_bytes_(max_conversation_bytes),
      outbox_(std::move(outbox)) {}

void stream::set_resume_token(const std::string& token) {
  resume_token_ = token;
  outbox_.set_resume_token(token);
}

void stream::begin_turn(request_id request, std::optional<conversation> then) {
  request_ = request;
  runs_ = true;
  failed_ = false;
  then_ = std::move(then);
}

void stream::deliver(request_id from, generation_event event) {
  if (from != request_)
    return;
  failed_ = std::holds_alternative<generation_failed>(event);
  if (then_ && then_->n_bytes() > max_conversation_bytes_)
    then_.reset();
  if (std::holds_alternative<generation_finished>(event))
    outbox_.set_appendable(then_.has_value());
  outbox_.push(std::move(event));
  if (on_news)
    on_news();
}

std::optional<std::string> stream::next(stream_time now) {
  auto frame = outbox_.next(now);
  if (runs_ && outbox_.turn_is_over())
    settle(now);
  return frame;
}

void stream::settle(stream_time now) {
  runs_ = false;
  ended_at_ = now;
  if (!failed_) {
    if (then_)
      then_->answered(outbox_.take_answer());
    said_ = std::move(then_);
  }
  then_.reset();
}

} // namespace souffleur
