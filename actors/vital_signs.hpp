// Whether the server is alive, and ready for more: what a load balancer and a watchdog ask.
#pragma once

#include "actors/messages/observation.hpp"
#include "policies/token.hpp"

#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <string>

namespace souffleur {

/// Outlives the actors, and is asked without them: a part that hangs cannot say so. Thread-safe.
///
/// Not alive: a forward pass takes longer than `longest_step`, or the restarts are spent. Nothing inside the
/// process helps then (a thread that computes cannot be stopped), so whoever watches should start another.
/// Not ready: besides, a part without which nothing is answered is down. It comes back by itself, and what is
/// sent meanwhile waits.
class vital_signs {
public:
  explicit vital_signs(std::chrono::milliseconds longest_step) : longest_step_(longest_step) {}

  void step_begins(steady_time now);
  void step_ends();
  void part_is_down(const std::string& part, bool is_vital);
  void part_is_up(const std::string& part);
  void gave_up(const std::string& why);

  service_health health(steady_time now) const;

  /// Of a forward pass: it begins with the guard and ends with it, be it by an exception.
  class step_watch {
  public:
    step_watch(vital_signs& signs, steady_time now) : signs_(signs) { signs_.step_begins(now); }
    ~step_watch() { signs_.step_ends(); }
    step_watch(const step_watch&) = delete;
    step_watch& operator=(const step_watch&) = delete;

  private:
    vital_signs& signs_;
  };

private:
  const std::chrono::milliseconds longest_step_;
  mutable std::mutex mutex_;
  std::optional<steady_time> step_began_;
  std::map<std::string, bool> down_; ///< part: is it vital
  std::string gave_up_;              ///< why; empty: not
};

} // namespace souffleur
