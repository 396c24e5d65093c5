// Has the served model say whether a stored answer would have done, when it has nothing else to do.
#include "actors/behaviors.hpp"
#include "actors/judgement.hpp"

#include <chrono>
#include <utility>

namespace souffleur {

namespace {

using self_pointer = judge_actor::stateful_pointer<judge_state>;

constexpr std::size_t most_waiting = 64;
constexpr std::chrono::milliseconds look_pause{200};
/// Beyond what clients count up to, and below the bit that marks flights.
constexpr request_id first_id = request_id{1} << 62;

void look_later(self_pointer self) { self->delayed_send(self, look_pause, judge_round{}); }

/// Once: `verdict` comes back to the judge whatever becomes of the generation.
generation_sink sink_of(judge_actor judge, const doubtful_entry& entry) {
  return [judge = std::move(judge), entry,
          said = std::make_shared<std::string>()](const generation_event& event) {
    if (const auto* delta = std::get_if<generation_delta>(&event))
      *said += delta->text();
    else if (std::holds_alternative<generation_finished>(event))
      compat::anon_send(judge, cache_verdict{entry, likeness_said(*said)});
    else if (std::holds_alternative<generation_failed>(event))
      compat::anon_send(judge, cache_verdict{entry, likeness::unknown});
  };
}

void judge_next(self_pointer self) {
  auto& state = compat::state_of(self);
  if (state.waiting.empty()) {
    state.is_busy = false;
    return;
  }
  if (state.credits->in_flight() > 0) {
    look_later(self);
    return;
  }
  const auto doubt = std::move(state.waiting.front());
  state.waiting.pop_front();
  auto request = std::make_shared<generation_request>(judgement_of(*doubt));
  request->id = first_id + ++state.n_judged;
  auto reply =
      std::make_shared<reply_handle>(sink_of(caf::actor_cast<judge_actor>(self), doubt->entry), nullptr, "");
  compat::anon_send(state.to.intake, submission{std::move(request), std::move(reply)});
}

} // namespace

judge_actor::behavior_type answer_judge(self_pointer self, std::shared_ptr<admission_credits> credits) {
  compat::state_of(self).credits = std::move(credits);
  return {
      [self](const doubtful_answer_ptr& doubt) {
        auto& state = compat::state_of(self);
        if (state.waiting.size() == most_waiting)
          state.waiting.pop_front(); // the oldest: what it is about may be gone by now
        state.waiting.push_back(doubt);
        if (!std::exchange(state.is_busy, true))
          look_later(self);
      },
      [self](judge_round) { judge_next(self); },
      [self](const cache_verdict& verdict) {
        compat::anon_send(compat::state_of(self).to.cache, verdict);
        judge_next(self);
      },
      [self](const judge_peers& to) { compat::state_of(self).to = to; },
  };
}

} // namespace souffleur
