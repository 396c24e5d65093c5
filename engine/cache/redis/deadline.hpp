// Until when something may block.
#pragma once

#include <algorithm>
#include <chrono>

namespace souffleur {

using deadline = std::chrono::steady_clock::time_point;

inline deadline deadline_in(std::chrono::milliseconds time) {
  return std::chrono::steady_clock::now() + time;
}

/// For poll(2): rounded up, 0 when it has passed.
inline int milliseconds_left(deadline until) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
  return static_cast<int>(std::clamp<std::chrono::milliseconds::rep>(left.count(), 0, 1 << 30));
}

} // namespace souffleur
