// The step loop: scheduler → (kv manager ‖ drafter) → scheduler → verifier → scheduler.
#include "actors/behaviors.hpp"

#include "engine/elapsed.hpp"

namespace souffleur {

namespace {

using self_pointer = scheduler_actor::stateful_pointer<scheduler_state>;

constexpr std::chrono::seconds kv_timeout{10};
constexpr std::chrono::milliseconds retry_pause{20};
constexpr std::chrono::seconds fetch_timeout{2}; ///< in which much would be computed
constexpr std::chrono::seconds writing_timeout{30};
constexpr std::chrono::milliseconds deadline_resolution{50};

void begin_round(self_pointer self);
void fetch_ended(self_pointer self, const fetched_pages& fetched);

void report(scheduler_state& state) {
  if (!state.to)
    return;
  for (auto& ended : state.core->take_reports())
    compat::anon_send(state.to->metrics, std::move(ended));
}

void answer_flushes(scheduler_state& state) {
  if (state.core->tier().has_saves())
    return;
  for (auto& flush : std::exchange(state.flushes, {}))
    flush.deliver(tier_flushed{});
}

/// The round ends; the next one begins through the mailbox, so that cancels and admissions come in between.
void end_round(self_pointer self) {
  auto& state = compat::state_of(self);
  state.busy = false;
  report(state);
  answer_flushes(state);
  if (state.core->has_work() && !state.core->waits_for_tier())
    compat::anon_send(caf::actor_cast<scheduler_actor>(self), next_round{});
}

void retry_later(self_pointer self) {
  compat::state_of(self).busy = false;
  self->delayed_send(self, retry_pause, next_round{});
}

/// The supervisor knows that a part has died, but not that it hangs.
void suspect(self_pointer self, const char* part, const caf::error& why) {
  if (compat::is_timeout(why))
    compat::anon_send(compat::state_of(self).supervisor, suspicion{part});
}

/// `asked` gave no answer, of which the core knows by now.
template <class Handle>
void go_on_without(self_pointer self, const Handle& asked, const Handle& current, const caf::error& why) {
  auto& state = compat::state_of(self);
  // What dies is replaced, but the news of that may have come before.
  state.awaits_peers = !compat::is_timeout(why) && asked == current;
  retry_later(self);
}

/// Sends the file tier what it is to do, beside the steps.
void use_tier(self_pointer self) {
  auto& state = compat::state_of(self);
  if (auto wish = state.core->tier().next_fetch()) {
    const auto ticket = wish->ticket;
    compat::request(self, state.to->tier_reader, fetch_timeout,
                    page_fetch_ptr{std::make_shared<const page_fetch>(std::move(*wish))})
        .then([self](const fetched_pages_ptr& fetched) { fetch_ended(self, *fetched); },
              // Late or dead: what it should have brought is computed.
              [self, ticket](const caf::error&) {
                fetch_ended(self, {ticket, {}});
              });
  }
  if (auto wish = state.core->tier().next_writing()) {
    const auto go_on = [self] {
      compat::state_of(self).core->tier().written();
      begin_round(self);
    };
    compat::request(self, state.to->tier_writer, writing_timeout,
                    page_writing_ptr{std::make_shared<const page_writing>(std::move(*wish))})
        .then([go_on](pages_written) { go_on(); }, [go_on](const caf::error&) { go_on(); });
  }
}

void fetch_ended(self_pointer self, const fetched_pages& fetched) {
  compat::state_of(self).core->tier().arrived(fetched);
  use_tier(self);
  begin_round(self);
}

void commit(self_pointer self, const step_result& result) {
  auto& state = compat::state_of(self);
  const auto start = compat::now(self);
  state.core->commit(result, start);
  if (const int n = state.core->take_explained_crashes(); n > 0)
    compat::anon_send(state.supervisor, explained_crashes{n});
  use_tier(self);
  const auto end = compat::now(self);
  auto step = state.core->last_step();
  step.began = state.round_started;
  step.scheduling_us = state.core_us + us_between(start, end);
  step.messages_us =
      us_between(state.round_started, end) - step.scheduling_us - step.forward_us - step.sampling_us;
  compat::anon_send(state.to->metrics, step);
  end_round(self);
}

void step_failed(self_pointer self, const verifier_actor& asked, const caf::error& why) {
  auto& state = compat::state_of(self);
  if (compat::is_exception(why))
    state.core->step_crashed(caf::to_string(why), compat::now(self));
  else
    state.core->step_lost();
  if (compat::is_timeout(why)) // a thread that computes cannot be stopped: it is waited for
    state.metrics->record_stuck_step();
  report(state);
  go_on_without(self, asked, state.to->verifier, why);
}

void run_step(self_pointer self) {
  auto& state = compat::state_of(self);
  const auto start = compat::now(self);
  auto plan = state.core->plan(*state.supply, state.offer, start);
  state.core_us += us_between(start, compat::now(self));
  use_tier(self);
  if (!plan) {
    compat::anon_send(state.to->metrics, state.core->last_step());
    end_round(self);
    return;
  }
  plan->step = ++state.n_steps;
  const auto asked = state.to->verifier;
  compat::request(self, asked, state.config.step_timeout,
                  step_plan_ptr{std::make_shared<const step_plan>(std::move(*plan))})
      .then([self](const step_result_ptr& result) { commit(self, *result); },
            [self, asked](const caf::error& why) { step_failed(self, asked, why); });
}

/// The last answer before the step: the draft model's, or the news that it will not come in time.
void draft_model_answered(self_pointer self, std::uint64_t n_round, const draft_offer_ptr& offer) {
  auto& state = compat::state_of(self);
  if (state.n_rounds != n_round || !state.awaits_draft_model)
    return;
  state.awaits_draft_model = false;
  if (offer)
    state.offer = state.core->with_model_drafts(state.offer, *offer);
  run_step(self);
}

/// A draft model that is late works on, beside the steps; until it has answered nothing more is asked of it.
bool ask_draft_model(self_pointer self) {
  auto& state = compat::state_of(self);
  if (!state.to->draft_model || state.draft_model_works)
    return false;
  auto demand = state.core->ask_draft_model(state.offer);
  if (demand.wishes.empty() && demand.ended.empty())
    return false;
  state.draft_model_works = true;
  state.awaits_draft_model = !demand.wishes.empty();
  const auto n_round = state.n_rounds;
  const auto ended = [self, n_round](const draft_offer_ptr& offer) {
    compat::state_of(self).draft_model_works = false;
    draft_model_answered(self, n_round, offer);
  };
  compat::request(self, state.to->draft_model, state.config.step_timeout,
                  draft_demand_ptr{std::make_shared<const draft_demand>(std::move(demand))})
      .then(ended, [ended](const caf::error&) { ended(nullptr); });
  if (state.awaits_draft_model)
    self->delayed_send(self, state.config.draft_model_budget, draft_model_late{n_round});
  return state.awaits_draft_model;
}

/// One answer of round `n_round` is in, or will not come. Answers to a round that was given up are ignored.
void arrived(self_pointer self, std::uint64_t n_round) {
  auto& state = compat::state_of(self);
  if (state.n_rounds == n_round && --state.n_awaited == 0 && !ask_draft_model(self))
    run_step(self);
}

void ask_drafter(self_pointer self, draft_demand demand) {
  auto& state = compat::state_of(self);
  state.offer = nullptr;
  if (!state.to->drafter || (demand.wishes.empty() && demand.ended.empty()))
    return;
  ++state.n_awaited;
  const auto n_round = state.n_rounds;
  compat::request(self, state.to->drafter, state.config.draft_budget,
                  draft_demand_ptr{std::make_shared<const draft_demand>(std::move(demand))})
      .then(
          [self, n_round](const draft_offer_ptr& offer) {
            if (compat::state_of(self).n_rounds == n_round)
              compat::state_of(self).offer = offer;
            arrived(self, n_round);
          },
          // Late or dead: this step goes on without drafts.
          [self, n_round](const caf::error& why) {
            suspect(self, "drafter", why);
            arrived(self, n_round);
          });
}

void begin_round(self_pointer self) {
  auto& state = compat::state_of(self);
  if (state.busy || state.awaits_peers || !state.to || !state.core->has_work())
    return;
  state.busy = true;
  state.round_started = compat::now(self);
  auto demand = state.core->begin_round(state.round_started);
  state.core_us = us_between(state.round_started, compat::now(self));
  state.n_awaited = 1;
  state.awaits_draft_model = false;
  const auto n_round = ++state.n_rounds;
  ask_drafter(self, std::move(demand.drafts));
  const auto asked = state.to->kv;
  compat::request(self, asked, kv_timeout,
                  kv_demand_ptr{std::make_shared<const kv_demand>(std::move(demand.kv))})
      .then(
          [self, n_round](const kv_supply_ptr& supply) {
            compat::state_of(self).supply = supply;
            arrived(self, n_round);
          },
          [self, asked](const caf::error& why) { // its successor is empty; everything is computed again
            suspect(self, "kv_manager", why);
            auto& state = compat::state_of(self);
            state.core->kv_lost();
            ++state.n_rounds;
            go_on_without(self, asked, state.to->kv, why);
          });
}

void watch_deadlines(self_pointer self) {
  auto& state = compat::state_of(self);
  if (state.watches_deadlines || !state.core->has_work())
    return;
  state.watches_deadlines = true;
  self->delayed_send(self, deadline_resolution, deadline_check{});
}

} // namespace

scheduler_actor::behavior_type scheduler(self_pointer self, const serving_config& config,
                                         std::shared_ptr<const tokenizer> vocabulary,
                                         std::shared_ptr<page_tier> tier, const known_costs& costs,
                                         std::shared_ptr<serving_metrics> metrics,
                                         const part_observer& supervisor) {
  auto& state = compat::state_of(self);
  state.config = config;
  state.metrics = std::move(metrics);
  state.supervisor = supervisor;
  state.core =
      std::make_unique<scheduler_core>(config, std::move(vocabulary), nullptr, std::move(tier), costs);
  return {
      [self](const admission_ptr& request) {
        compat::state_of(self).core->admit(*request);
        watch_deadlines(self);
        begin_round(self);
      },
      [self](const cancellation& cancelled) {
        auto& state = compat::state_of(self);
        state.core->cancel(cancelled.id, compat::now(self));
        report(state);
        begin_round(self);
      },
      [self](const amendment& amended) {
        auto& state = compat::state_of(self);
        state.core->amend(amended.id, amended.change, compat::now(self));
        report(state);
        begin_round(self);
      },
      [self](const peers_ptr& to) {
        auto& state = compat::state_of(self);
        if (state.to && state.to->drafter != to->drafter)
          state.core->drafter_lost();
        if (state.to && state.to->draft_model != to->draft_model) {
          state.core->draft_model_lost();
          state.draft_model_works = false; // what its predecessor was asked may have died with it
        }
        state.to = to;
        state.awaits_peers = false;
        begin_round(self);
      },
      [self](kv_reset) { compat::state_of(self).core->kv_lost(); },
      [self](next_round) { begin_round(self); },
      [self](draft_model_late late) { draft_model_answered(self, late.n_round, nullptr); },
      [self](tier_flush) {
        auto& state = compat::state_of(self);
        state.flushes.push_back(self->make_response_promise<tier_flushed>());
        const auto answer = state.flushes.back();
        answer_flushes(state);
        return answer;
      },
      [self](deadline_check) {
        auto& state = compat::state_of(self);
        state.core->expire(compat::now(self));
        report(state);
        state.watches_deadlines = false;
        watch_deadlines(self);
        begin_round(self);
      },
  };
}

} // namespace souffleur
