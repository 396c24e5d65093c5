// The time of day, for what outlives the process or is told to others.
#pragma once

#include <chrono>
#include <cstdint>

namespace souffleur {

/// Seconds since 1970.
inline std::int64_t unix_now_s() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::seconds>(now).count();
}

/// Microseconds since 1970, of a moment not long ago.
inline std::int64_t unix_us(std::chrono::steady_clock::time_point when) {
  const auto ago = std::chrono::steady_clock::now() - when;
  const auto then = std::chrono::system_clock::now().time_since_epoch() - ago;
  return std::chrono::duration_cast<std::chrono::microseconds>(then).count();
}

} // namespace souffleur
