// Events of one generation, held back until the consumer has granted room for their tokens.
#pragma once

#include "actors/messages/generation.hpp"

#include <algorithm>
#include <cstdint>
#include <deque>
#include <limits>
#include <optional>
#include <utility>

namespace souffleur {

/// Invariants: events leave in their order, and all of them once all is granted. No more tokens leave than
/// were granted; a delta is split where the grant ends. What has no tokens waits only for what came before
/// it.
class event_gate {
public:
  /// `n_granted`: tokens that may leave at first; none: no bound.
  explicit event_gate(std::optional<std::int64_t> n_granted) : n_granted_(n_granted) {
    if (n_granted_)
      *n_granted_ = std::max<std::int64_t>(*n_granted_, 0);
  }

  void push(generation_event event) { held_.push_back(std::move(event)); }
  /// Of more than can be counted, and of less than none, nothing is taken.
  void grant(std::int64_t n_tokens) {
    if (n_granted_)
      *n_granted_ += std::clamp<std::int64_t>(n_tokens, 0, most_granted - *n_granted_);
  }
  /// What may leave now.
  std::optional<generation_event> next();

private:
  static constexpr std::int64_t most_granted = std::numeric_limits<std::int64_t>::max();

  std::deque<generation_event> held_;
  std::optional<std::int64_t> n_granted_;
};

} // namespace souffleur
