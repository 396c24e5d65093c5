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

} // namespace souffleur
