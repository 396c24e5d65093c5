// When a server that failed is tried again.
#pragma once

#include <algorithm>
#include <chrono>

namespace souffleur {

/// Open after a failure: for `first`, for twice as long after each further one in a row, and never for more
/// than `most`. Then one try decides.
class circuit_breaker {
public:
  using duration = std::chrono::milliseconds;
  using time_point = std::chrono::steady_clock::time_point;

  circuit_breaker(duration first, duration most) : first_(first), most_(most), next_(first) {}

  bool is_open(time_point now) const { return now < closes_at_; }
  /// While it is open.
  duration time_left(time_point now) const { return std::chrono::ceil<duration>(closes_at_ - now); }

  void note_failure(time_point now) {
    closes_at_ = now + next_;
    next_ = std::min(2 * next_, most_);
  }
  void note_success() {
    closes_at_ = {};
    next_ = first_;
  }

private:
  duration first_;
  duration most_;
  duration next_;
  time_point closes_at_{};
};

} // namespace souffleur
