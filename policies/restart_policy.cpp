#include "policies/restart_policy.hpp"

#include <algorithm>

namespace souffleur {

restart_decision restart_policy::died(const std::string& part, bool is_vital, std::int64_t now_ms) {
  latest_ms_ = std::max(latest_ms_, now_ms);
  auto& record = records_[part];
  record.n_in_a_row = latest_ms_ - record.started_ms < limits_.stable_ms ? record.n_in_a_row + 1 : 0;
  while (!record.deaths_ms.empty() && record.deaths_ms.front() <= latest_ms_ - limits_.window_ms)
    record.deaths_ms.pop_front();
  record.deaths_ms.push_back(latest_ms_);
  restart_decision decision{restart_verdict::restart, pause_of(record.n_in_a_row)};
  if (n_deaths(part) > limits_.max_restarts)
    decision = is_vital ? restart_decision{restart_verdict::give_up, 0}
                        : restart_decision{restart_verdict::leave_out, limits_.window_ms};
  record.started_ms = latest_ms_ + decision.pause_ms;
  return decision;
}

std::int64_t restart_policy::pause_of(int n_in_a_row) const {
  if (n_in_a_row == 0)
    return 0;
  auto pause_ms = limits_.first_pause_ms;
  for (int i = 1; i < n_in_a_row && pause_ms < limits_.longest_pause_ms; ++i)
    pause_ms *= 2;
  return std::min(pause_ms, limits_.longest_pause_ms);
}

void restart_policy::forgive(const std::string& part, int n) {
  auto& record = records_[part];
  record.n_in_a_row = std::max(0, record.n_in_a_row - n);
  auto& deaths = record.deaths_ms;
  deaths.resize(deaths.size() - std::min(deaths.size(), static_cast<std::size_t>(n)));
}

int restart_policy::n_deaths(const std::string& part) const {
  const auto found = records_.find(part);
  return found == records_.end() ? 0 : static_cast<int>(found->second.deaths_ms.size());
}

} // namespace souffleur
