#include "actors/vital_signs.hpp"

namespace souffleur {

void vital_signs::step_begins(steady_time now) {
  const std::lock_guard lock{mutex_};
  step_began_ = now;
}

void vital_signs::step_ends() {
  const std::lock_guard lock{mutex_};
  step_began_.reset();
}

void vital_signs::part_is_down(const std::string& part, bool is_vital) {
  const std::lock_guard lock{mutex_};
  down_[part] = is_vital;
}

void vital_signs::part_is_up(const std::string& part) {
  const std::lock_guard lock{mutex_};
  down_.erase(part);
}

void vital_signs::gave_up(const std::string& why) {
  const std::lock_guard lock{mutex_};
  gave_up_ = why;
}

service_health vital_signs::health(steady_time now) const {
  const std::lock_guard lock{mutex_};
  service_health health;
  if (!gave_up_.empty())
    health = {false, false, gave_up_, {}};
  else if (step_began_ && now - *step_began_ > longest_step_)
    health = {
        false,
        false,
        "a forward pass has taken " +
            std::to_string(std::chrono::duration_cast<std::chrono::seconds>(now - *step_began_).count()) +
            " s, more than scheduler.step_timeout_s allows",
        {}};
  for (const auto& [part, is_vital] : down_) {
    health.parts_down.push_back(part);
    if (is_vital && health.is_ready) {
      health.is_ready = false;
      health.why = part + " is being restarted";
    }
  }
  return health;
}

} // namespace souffleur
