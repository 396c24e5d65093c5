// A stored answer as a stream again: all at once, or at a pace.
#pragma once

#include "actors/messages/generation.hpp"
#include "engine/cache/cached_answer.hpp"

#include <chrono>
#include <cstddef>
#include <utility>

namespace souffleur {

/// The deltas' texts, one after the other, are the answer's text, however they are cut.
class cache_replay {
public:
  using time = std::chrono::steady_clock::time_point;
  /// `tokens_per_s` 0: all at once.
  cache_replay(cached_answer_ptr answer, double tokens_per_s, time start)
      : answer_(std::move(answer)), tokens_per_s_(tokens_per_s), start_(start) {}

  /// What is due at `now` and was not taken before. The first token is due at once.
  generation_delta take(time now);
  bool done() const { return is_done_; }
  /// When more is due. REQUIRES: !done().
  time next() const;

private:
  std::size_t n_due(time now) const;

  cached_answer_ptr answer_;
  double tokens_per_s_;
  time start_;
  std::size_t n_taken_ = 0;
  bool is_done_ = false;
};

} // namespace souffleur
