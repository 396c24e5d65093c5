#include "actors/cluster/held_progress.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace souffleur {

namespace {

int size_of(const stream_progress& one) { return static_cast<int>(one.delta.tokens.size()); }

void join(generation_delta& all, generation_delta&& more) {
  std::ranges::move(more.tokens, std::back_inserter(all.tokens));
  all.tail += more.tail;
  if (!more.step)
    return;
  if (!all.step)
    all.step.emplace();
  all.step->n_rows += more.step->n_rows;
  all.step->n_drafted += more.step->n_drafted;
  all.step->n_accepted += more.step->n_accepted;
  all.step->drafter = more.step->drafter;
  all.step->ms += more.step->ms;
}

} // namespace

stream_progress& held_progress::of(attempt_id attempt) {
  const auto known = std::ranges::find(streams_, attempt, &stream_progress::attempt);
  if (known != streams_.end())
    return *known;
  auto& fresh = streams_.emplace_back();
  fresh.attempt = attempt;
  return fresh;
}

void held_progress::add(attempt_id attempt, generation_event event) {
  if (std::holds_alternative<generation_accepted>(event))
    return;
  auto& one = of(attempt);
  if (auto* delta = std::get_if<generation_delta>(&event)) {
    n_tokens_ += static_cast<int>(delta->tokens.size());
    one.n_steps += delta->step ? 1 : 0;
    join(one.delta, std::move(*delta));
  } else if (auto* finished = std::get_if<generation_finished>(&event)) {
    one.finished = std::move(*finished);
  } else {
    one.failed = std::move(std::get<generation_failed>(event));
  }
}

void held_progress::hand_over(attempt_id attempt) {
  drop(attempt);
  of(attempt).is_handed_over = true;
}

void held_progress::drop(attempt_id attempt) {
  const auto known = std::ranges::find(streams_, attempt, &stream_progress::attempt);
  if (known == streams_.end())
    return;
  n_tokens_ -= size_of(*known);
  streams_.erase(known);
}

void held_progress::clear() {
  streams_.clear();
  n_tokens_ = 0;
}

step_batch held_progress::take() {
  n_tokens_ = 0;
  return {std::exchange(streams_, {})};
}

std::optional<attempt_id> held_progress::beyond_bound() const {
  if (n_tokens_ <= max_tokens_)
    return std::nullopt;
  return std::ranges::max_element(streams_, {}, size_of)->attempt;
}

} // namespace souffleur
