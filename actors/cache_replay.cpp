#include "actors/cache_replay.hpp"

#include <algorithm>

namespace souffleur {

std::size_t cache_replay::n_due(time now) const {
  const auto n_all = answer_->pieces.size();
  if (tokens_per_s_ <= 0)
    return n_all;
  const double n_since = std::chrono::duration<double>(now - start_).count() * tokens_per_s_;
  if (n_since >= static_cast<double>(n_all))
    return n_all;
  return std::min(n_all, static_cast<std::size_t>(std::max(0.0, n_since)) + 1);
}

generation_delta cache_replay::take(time now) {
  generation_delta delta;
  const auto n = std::max(n_taken_, n_due(now));
  for (; n_taken_ < n; ++n_taken_) {
    const auto& piece = answer_->pieces[n_taken_];
    delta.tokens.push_back({piece.id, token_origin::cache, piece.bytes, piece.text, std::nullopt});
  }
  if (n_taken_ == answer_->pieces.size() && !is_done_) {
    delta.tail = answer_->tail;
    is_done_ = true;
  }
  return delta;
}

cache_replay::time cache_replay::next() const {
  const std::chrono::duration<double> since{static_cast<double>(n_taken_) / tokens_per_s_};
  // Rounded up, so that something is due then.
  return start_ + std::chrono::duration_cast<time::duration>(since) + std::chrono::microseconds{1};
}

} // namespace souffleur
