// Until when something may take, where somebody else may still give it more time.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>

namespace souffleur {

/// Whoever does the work gives up, whoever wants it postpones; one of the two is first, and the other one
/// sees it. Copies are the same deadline. Thread-safe.
class shared_deadline {
public:
  using steady_time = std::chrono::steady_clock::time_point;

  /// REQUIRES: not before the clock's epoch.
  shared_deadline(steady_time at = {}) : state_(std::make_shared<state>(at.time_since_epoch().count())) {}

  steady_time at() const {
    const auto now = state_->load();
    return steady_time{steady_time::duration{now < 0 ? ~now : now}};
  }

  /// Not earlier than that. False: it has been given up.
  bool postpone(steady_time to) {
    auto now = state_->load();
    while (now >= 0 && now < to.time_since_epoch().count())
      if (state_->compare_exchange_weak(now, to.time_since_epoch().count()))
        return true;
    return now >= 0;
  }

  /// Nobody can postpone it any more. False: it is not time yet.
  bool give_up(steady_time now) {
    auto known = state_->load();
    while (known >= 0 && known <= now.time_since_epoch().count())
      if (state_->compare_exchange_weak(known, ~known))
        return true;
    return known < 0;
  }

private:
  /// The time, or its complement, which is negative: it has been given up.
  using state = std::atomic<steady_time::duration::rep>;

  std::shared_ptr<state> state_;
};

} // namespace souffleur
