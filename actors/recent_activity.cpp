#include "actors/recent_activity.hpp"

#include <algorithm>

namespace souffleur {

namespace {

bool has_rows_of(const numbered_step& one, request_id generation) {
  return std::ranges::find(one.step->shares, generation, &step_share::id) != one.step->shares.end();
}

} // namespace

void recent_activity::note(const step_report& report) {
  if (report.idle)
    return;
  auto kept = std::make_shared<const step_report>(report);
  const std::lock_guard lock{mutex_};
  steps_.push_back({++n_steps_, std::move(kept)});
  if (steps_.size() > most_steps)
    steps_.pop_front();
  for (const auto& draft : report.drafts) {
    auto& totals = drafters_[static_cast<std::size_t>(draft.drafter)];
    ++totals.n_drafts;
    totals.n_drafted += static_cast<std::uint64_t>(draft.n_drafted);
    totals.n_accepted += static_cast<std::uint64_t>(draft.n_accepted);
  }
}

void recent_activity::note(const request_report& report) {
  const std::lock_guard lock{mutex_};
  ++n_requests_;
  requests_.push_back(report);
  if (requests_.size() > most_requests)
    requests_.pop_front();
}

std::uint64_t recent_activity::n_steps() const {
  const std::lock_guard lock{mutex_};
  return n_steps_;
}

std::uint64_t recent_activity::n_requests() const {
  const std::lock_guard lock{mutex_};
  return n_requests_;
}

std::vector<numbered_step> recent_activity::steps_after(std::uint64_t number, std::size_t most) const {
  const std::lock_guard lock{mutex_};
  const auto n_newer = static_cast<std::size_t>(n_steps_ > number ? n_steps_ - number : 0);
  const auto n = std::min({n_newer, most, steps_.size()});
  return {steps_.end() - static_cast<std::ptrdiff_t>(n), steps_.end()};
}

std::vector<drafter_totals> recent_activity::drafters() const {
  const std::lock_guard lock{mutex_};
  std::vector<drafter_totals> those;
  for (std::size_t i = 0; i < drafters_.size(); ++i)
    if (drafters_[i].n_drafts > 0) {
      those.push_back(drafters_[i]);
      those.back().drafter = static_cast<token_origin>(i);
    }
  return those;
}

std::optional<request_trace> recent_activity::trace(request_id id, const std::string& tenant) const {
  const std::lock_guard lock{mutex_};
  // The last: a generation that outlives its first reader is reported under that reader's id.
  const auto found = std::find_if(requests_.rbegin(), requests_.rend(), [&](const request_report& one) {
    return one.id == id && one.tenant == tenant;
  });
  if (found == requests_.rend())
    return std::nullopt;
  request_trace trace{*found, {}, true};
  for (const auto& one : steps_)
    if (has_rows_of(one, found->generation))
      trace.steps.push_back(one);
  const bool has_forgotten_steps = !steps_.empty() && steps_.front().number > 1;
  trace.is_whole = !has_forgotten_steps || steps_.front().step->began <= found->times.arrival;
  return trace;
}

} // namespace souffleur
