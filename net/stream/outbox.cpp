#include "net/stream/outbox.hpp"

#include "net/stream/frame_forms.hpp"

#include <algorithm>
#include <iterator>

namespace souffleur {

stream_outbox::stream_outbox(std::string stream, std::string model_name, const outbox_options& options)
    : stream_(std::move(stream)), extras_{std::move(model_name), ""}, credit_(options.credit),
      batch_(options.batch), collects_answer_(options.collects_answer),
      is_kept_(options.max_replay_bytes > 0), sent_(options.max_replay_bytes) {}

bool stream_outbox::joins(const generation_delta& delta) {
  auto* last = events_.empty() ? nullptr : std::get_if<generation_delta>(&events_.back());
  return last != nullptr && last->tail.empty() && !last->step && !delta.step &&
         last->tokens.size() + delta.tokens.size() <= max_joined_tokens;
}

void stream_outbox::push(generation_event event) {
  if (auto* delta = std::get_if<generation_delta>(&event)) {
    if (abandoned_)
      return;
    n_held_tokens_ += delta->tokens.size();
    if (joins(*delta)) {
      auto& last = std::get<generation_delta>(events_.back());
      std::ranges::move(delta->tokens, std::back_inserter(last.tokens));
      last.tail = std::move(delta->tail);
      return;
    }
  }
  events_.push_back(std::move(event));
}

void stream_outbox::grant(std::int64_t n_tokens) {
  credit_ = std::min(credit_.value_or(0) + n_tokens, max_stream_credit);
}

void stream_outbox::abandon() {
  abandoned_ = true;
  std::erase_if(events_, [](const auto& event) { return std::holds_alternative<generation_delta>(event); });
  n_held_tokens_ = 0;
}

void stream_outbox::begin_turn(const turn_wishes& wishes) {
  if (wishes.credit)
    grant(*wishes.credit);
  batch_ = wishes.batch.value_or(batch_);
  last_delta_at_.reset();
  answer_.clear();
  appendable_ = abandoned_ = finished_ = false;
}

std::size_t stream_outbox::n_sendable_tokens() const {
  return credit_ ? std::min(n_held_tokens_, static_cast<std::size_t>(*credit_)) : n_held_tokens_;
}

stream_outbox::rewound stream_outbox::rewind(std::int64_t after) {
  if (after >= seq_)
    return rewound::not_sent;
  return sent_.wind_back_to(after + 1) ? rewound::yes : rewound::gone;
}

std::optional<generation_delta> stream_outbox::affordable(generation_delta& front) {
  if (!credit_ || *credit_ >= static_cast<std::int64_t>(front.tokens.size()))
    return std::move(front);
  if (*credit_ == 0)
    return std::nullopt;
  generation_delta first;
  const auto cut = front.tokens.begin() + static_cast<std::ptrdiff_t>(*credit_);
  first.tokens.assign(std::make_move_iterator(front.tokens.begin()), std::make_move_iterator(cut));
  front.tokens.erase(front.tokens.begin(), cut);
  return first;
}

/// What stands behind a delta does not wait: it is the end, or what cannot be joined.
bool stream_outbox::waits_for_batch(const generation_delta& front) const {
  return batch_.count() > 0 && last_delta_at_ && !front.step && events_.size() == 1;
}

std::optional<stream_time> stream_outbox::due() const {
  const auto* delta = events_.empty() ? nullptr : std::get_if<generation_delta>(&events_.front());
  if (delta == nullptr || !waits_for_batch(*delta) || credit_ == 0)
    return std::nullopt;
  return *last_delta_at_ + batch_;
}

std::optional<std::string> stream_outbox::next(stream_time now) {
  if (auto again = sent_.replay())
    return again;
  if (events_.empty())
    return std::nullopt;
  auto* delta = std::get_if<generation_delta>(&events_.front());
  if (delta == nullptr) {
    auto text = frame(events_.front());
    events_.pop_front();
    return sent(std::move(text));
  }
  if (waits_for_batch(*delta) && now < *last_delta_at_ + batch_)
    return std::nullopt;
  const auto n_before = delta->tokens.size();
  auto part = affordable(*delta);
  if (!part)
    return std::nullopt;
  const auto n_tokens = part->tokens.size();
  n_held_tokens_ -= n_tokens;
  if (credit_)
    *credit_ -= static_cast<std::int64_t>(n_tokens);
  if (n_tokens == n_before)
    events_.pop_front();
  if (collects_answer_)
    answer_ += part->text();
  last_delta_at_ = now;
  return sent(frame(std::move(*part)));
}

std::string stream_outbox::sent(std::string frame) {
  if (is_kept_)
    sent_.add(frame);
  return frame;
}

std::string stream_outbox::frame(const generation_event& event) {
  const frame_number number{stream_, seq_++};
  if (const auto* accepted = std::get_if<generation_accepted>(&event))
    return accepted_frame(number, *accepted, extras_);
  if (const auto* delta = std::get_if<generation_delta>(&event))
    return delta_frame(number, *delta);
  finished_ = true;
  if (const auto* end = std::get_if<generation_finished>(&event))
    return done_frame(number, *end, appendable_);
  return failure_frame(number, std::get<generation_failed>(event));
}

} // namespace souffleur
