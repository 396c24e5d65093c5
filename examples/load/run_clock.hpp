// The time that records are in.
#pragma once

#include <chrono>
#include <cstdint>

namespace souffleur::load {

using time_point = std::chrono::steady_clock::time_point;

class run_clock {
public:
  std::int64_t ns_of(time_point when) const {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(when - start_).count();
  }
  std::int64_t now_ns() const { return ns_of(std::chrono::steady_clock::now()); }
  time_point at(std::int64_t ns) const { return start_ + std::chrono::nanoseconds{ns}; }

private:
  time_point start_ = std::chrono::steady_clock::now();
};

constexpr std::int64_t ns_of_seconds(double s) { return static_cast<std::int64_t>(s * 1e9); }

} // namespace souffleur::load
