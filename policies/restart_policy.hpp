// Whether, and when, a part of the server that has died is started again.
#pragma once

#include <cstdint>
#include <deque>
#include <limits>
#include <map>
#include <string>

namespace souffleur {

struct restart_limits {
  int max_restarts = 16;           ///< of one part within `window_ms`
  std::int64_t window_ms = 60'000; ///< after which a death no longer counts
  std::int64_t stable_ms = 1000;   ///< a part that lived so long had come up; its next death is a first one
  std::int64_t first_pause_ms = 5; ///< before the second start in a row; it doubles with each more
  std::int64_t longest_pause_ms = 1000; ///< of those
};

enum class restart_verdict : std::uint8_t {
  restart,   ///< after the pause
  leave_out, ///< the others go on without it; it is tried again after the pause
  give_up    ///< nothing works without it
};

struct restart_decision {
  restart_verdict verdict = restart_verdict::restart;
  std::int64_t pause_ms = 0;
};

/// A part that dies now and then is back at once; one that dies as soon as it is started waits longer each
/// time. More than `max_restarts` deaths within any `window_ms` are too many: a vital part takes the whole
/// with it, any other is left out for a window's time. Deaths that somebody else is found guilty of are
/// forgiven. `now_ms` never goes back; what does is taken for the latest.
class restart_policy {
public:
  explicit restart_policy(const restart_limits& limits) : limits_(limits) {}

  restart_decision died(const std::string& part, bool is_vital, std::int64_t now_ms);
  /// The part's latest `n` deaths do not count, nor make it wait. REQUIRES: n ≥ 0.
  void forgive(const std::string& part, int n);
  /// Deaths that count.
  int n_deaths(const std::string& part) const;

private:
  struct record {
    std::deque<std::int64_t> deaths_ms; ///< within the window before the last one
    int n_in_a_row = 0;
    std::int64_t started_ms = std::numeric_limits<std::int64_t>::min() / 2; ///< or will be
  };

  std::int64_t pause_of(int n_in_a_row) const;

  restart_limits limits_;
  std::map<std::string, record> records_;
  std::int64_t latest_ms_ = 0;
};

} // namespace souffleur
