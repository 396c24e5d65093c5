// How fast a client may send frames.
#pragma once

#include "net/stream/limits.hpp"

#include <algorithm>
#include <chrono>

namespace souffleur {

/// Over any stretch of time, admits no more than `per_s` frames a second and a burst of one second's worth:
/// the generic cell rate algorithm of ITU-T I.371.
class frame_rate {
public:
  explicit frame_rate(int per_s) : spacing_(std::chrono::nanoseconds{std::chrono::seconds{1}} / per_s) {}

  /// One more frame has come; the next one may be taken then.
  stream_time took(stream_time now) {
    due_ = std::max(due_, now) + spacing_;
    return due_ - std::chrono::seconds{1};
  }

private:
  std::chrono::nanoseconds spacing_;
  stream_time due_{};
};

} // namespace souffleur
