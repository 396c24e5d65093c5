#include "actors/behaviors.hpp"

#include "actors/cluster/dispatcher.hpp"
#include "actors/cluster/remote_draft_model.hpp"

#include <random>

namespace souffleur {

namespace {

using self_pointer = supervisor_actor::stateful_pointer<supervisor_state>;

void start(self_pointer self, const std::string& name);
void stop_parts(self_pointer self);

/// Without which nobody is answered.
bool is_vital(std::string_view part) {
  return part == "intake" || part == "scheduler" || part == "verifier" || part == "kv_manager";
}

std::int64_t ms_of(steady_time time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

void give_up(self_pointer self, const std::string& part, const caf::error& why) {
  auto& state = compat::state_of(self);
  const auto n_s = std::to_string(state.parts.config.restart_window.count());
  const auto reason = part + " failed " + std::to_string(state.restarts.n_deaths(part)) + " times within " +
                      n_s + " s, last with: " + caf::to_string(why);
  state.parts.vitals->gave_up(reason);
  stop_parts(self); // whoever still waits for an answer gets an error now
  state.parts.give_up(reason);
}

void died(self_pointer self, const std::string& part, const caf::error& why) {
  auto& state = compat::state_of(self);
  if (state.stopping)
    return;
  const auto next = state.restarts.died(part, is_vital(part), ms_of(compat::now(self)));
  state.parts.metrics->record_restart(part);
  if (next.verdict == restart_verdict::give_up)
    return give_up(self, part, why);
  if (state.parts.on_death)
    state.parts.on_death(part, caf::to_string(why), std::chrono::milliseconds{next.pause_ms},
                         next.verdict == restart_verdict::leave_out);
  if (next.pause_ms == 0)
    return start(self, part);
  state.parts.vitals->part_is_down(part, is_vital(part));
  self->delayed_send(self, std::chrono::milliseconds{next.pause_ms}, restart_due{part});
}

template <class Handle>
void watch(self_pointer self, const std::string& name, const Handle& who) {
  ++compat::state_of(self).n_running;
  compat::state_of(self).watched.watch(self, who, [self, name, id = who->id()](const caf::error& why) {
    auto& state = compat::state_of(self);
    if (state.given_up.erase(id) > 0)
      return;
    --state.n_running;
    if (state.leaving && state.n_running == 0)
      self->quit();
    died(self, name, why);
  });
}

void introduce(supervisor_state& state) {
  compat::urgent_send(state.scheduler, peers_ptr{std::make_shared<const peers>(state.to)});
  compat::urgent_send(state.intake, intake_peers{state.scheduler, state.to.cache, state.to.metrics});
  compat::urgent_send(state.to.cache, cache_peers{state.to.embedder, state.to.store, state.to.judge});
  if (state.to.judge)
    compat::urgent_send(state.to.judge, judge_peers{state.intake, state.to.cache});
}

/// With a thread of its own, for handlers that take long.
template <class Behavior, class... Arguments>
auto spawn_apart(self_pointer self, Behavior behavior, const Arguments&... arguments) {
  return compat::state_of(self).parts.detached ? self->spawn<caf::detached>(behavior, arguments...)
                                               : self->spawn(behavior, arguments...);
}

cache_parts cache_parts_of(const ensemble& parts) {
  const auto& config = parts.config;
  cache_parts made;
  made.desk.memory.max_bytes = config.cache_max_bytes;
  if (parts.embedder) {
    made.desk.memory.embedder = parts.embedder->fingerprint();
    made.desk.memory.n_dimensions = static_cast<std::size_t>(parts.embedder->n_dimensions());
  }
  made.desk.eviction = config.cache_eviction;
  made.desk.policy = config.cache_policy;
  made.desk.calibration = parts.calibration;
  made.desk.seed = std::random_device{}();
  made.metrics = parts.metrics;
  made.lookup_budget = config.cache_lookup_budget;
  made.detached = parts.detached;
  made.unix_now = parts.unix_now;
  return made;
}

void spawn_scheduler(self_pointer self) {
  auto& state = compat::state_of(self);
  if (state.parts.network)
    state.scheduler = self->spawn(dispatcher, state.parts.cluster, state.parts.format.vocabulary,
                                  state.parts.network, state.parts.metrics, state.parts.vitals);
  else
    state.scheduler =
        self->spawn(scheduler, state.parts.config, state.parts.format.vocabulary, state.parts.tier,
                    state.parts.costs, state.parts.metrics, caf::actor_cast<part_observer>(self));
  watch(self, "scheduler", state.scheduler);
}

void spawn_part(self_pointer self, const std::string& name) {
  auto& state = compat::state_of(self);
  const auto& config = state.parts.config;
  const auto& vocabulary = state.parts.format.vocabulary;
  if (name == "verifier") {
    const auto ends = vocabulary->end_tokens();
    const std::vector<token_id> end_tokens{ends.begin(), ends.end()};
    state.to.verifier = spawn_apart(self, verifier, state.parts.model, end_tokens, config.acceptance_policy,
                                    state.parts.vitals);
    watch(self, name, state.to.verifier);
  } else if (name == "kv_manager") {
    state.to.kv = self->spawn(kv_keeper, config.n_kv_pages, config.eviction_policy, config.max_pinned_share,
                              state.parts.journal);
    watch(self, name, state.to.kv);
    if (state.scheduler)
      compat::urgent_send(state.scheduler, kv_reset{});
  } else if (name == "drafter") {
    state.to.drafter = self->spawn(drafter, config.draft_answers_bytes, state.parts.model->vocabulary_size());
    watch(self, name, state.to.drafter);
  } else if (name == "draft_model") {
    const auto draw = config.acceptance_policy == "gumbel" ? draft_draw::gumbel : draft_draw::coupled;
    if (state.parts.remote_drafter)
      state.to.draft_model = self->spawn(remote_draft_model, state.parts.remote_drafter,
                                         vocabulary->vocabulary_size(), state.parts.metrics);
    else
      state.to.draft_model = spawn_apart(self, draft_model, state.parts.draft_model, config.eviction_policy,
                                         draw, config.drafts_ahead);
    watch(self, name, state.to.draft_model);
  } else if (name == "response_cache") {
    state.to.cache = self->spawn(response_cache, cache_parts_of(state.parts));
    watch(self, name, state.to.cache);
  } else if (name == "answer_store") {
    state.to.store = spawn_apart(self, answer_keeper, state.parts.store, state.parts.metrics,
                                 state.parts.unix_now, state.parts.on_trouble);
    watch(self, name, state.to.store);
  } else if (name == "answer_judge") {
    state.to.judge = self->spawn(answer_judge, state.parts.credits);
    watch(self, name, state.to.judge);
  } else if (name == "kv_tier_reader") {
    state.to.tier_reader = spawn_apart(self, tier_reader, state.parts.tier);
    watch(self, name, state.to.tier_reader);
  } else if (name == "kv_tier_writer") {
    state.to.tier_writer = spawn_apart(self, tier_writer, state.parts.tier, state.parts.on_trouble);
    watch(self, name, state.to.tier_writer);
  } else if (name == "embedder") {
    state.to.embedder = spawn_apart(self, embedder, state.parts.embedder, state.parts.metrics);
    watch(self, name, state.to.embedder);
  } else if (name == "metrics") {
    state.to.metrics = self->spawn(metrics_keeper, state.parts.metrics);
    watch(self, name, state.to.metrics);
  } else if (name == "scheduler") {
    spawn_scheduler(self);
    // Nobody will end the dead scheduler's sequences: their pages and drafts start over with empty books.
    if (state.to.kv)
      compat::urgent_exit(state.to.kv, caf::exit_reason::kill);
    for (const auto& one : {state.to.drafter, state.to.draft_model})
      if (one)
        compat::urgent_exit(one, caf::exit_reason::kill);
  } else if (name == "intake") {
    state.intake =
        self->spawn(intake, state.parts.format, config, state.flights, caf::actor_cast<part_observer>(self));
    watch(self, name, state.intake);
  }
}

void start(self_pointer self, const std::string& name) {
  auto& state = compat::state_of(self);
  spawn_part(self, name);
  introduce(state);
  state.parts.vitals->part_is_up(name);
}

caf::actor part_of(const supervisor_state& state, const std::string& name) {
  if (name == "verifier")
    return caf::actor_cast<caf::actor>(state.to.verifier);
  if (name == "kv_manager")
    return caf::actor_cast<caf::actor>(state.to.kv);
  if (name == "drafter")
    return caf::actor_cast<caf::actor>(state.to.drafter);
  if (name == "draft_model")
    return caf::actor_cast<caf::actor>(state.to.draft_model);
  if (name == "response_cache")
    return caf::actor_cast<caf::actor>(state.to.cache);
  if (name == "answer_store")
    return caf::actor_cast<caf::actor>(state.to.store);
  if (name == "answer_judge")
    return caf::actor_cast<caf::actor>(state.to.judge);
  if (name == "kv_tier_reader")
    return caf::actor_cast<caf::actor>(state.to.tier_reader);
  if (name == "kv_tier_writer")
    return caf::actor_cast<caf::actor>(state.to.tier_writer);
  if (name == "embedder")
    return caf::actor_cast<caf::actor>(state.to.embedder);
  if (name == "metrics")
    return caf::actor_cast<caf::actor>(state.to.metrics);
  if (name == "scheduler")
    return caf::actor_cast<caf::actor>(state.scheduler);
  if (name == "intake")
    return caf::actor_cast<caf::actor>(state.intake);
  return nullptr;
}

/// It cannot be stopped: its successor takes its place now, and it ends when it looks into its mailbox.
template <class Handle>
void replace(self_pointer self, const std::string& part, const Handle& stuck) {
  auto& state = compat::state_of(self);
  state.given_up.insert(stuck->id());
  --state.n_running;
  compat::urgent_exit(stuck, caf::exit_reason::kill);
  state.parts.metrics->record_stuck_part(part);
  const auto silence = std::chrono::duration_cast<std::chrono::seconds>(state.parts.config.pulse_timeout);
  died(self, part,
       caf::make_error(caf::sec::request_timeout,
                       "said nothing for " + std::to_string(silence.count()) + " s"));
}

/// Somebody who did not get an answer cannot know whether the part is slow or hangs; who hangs has no pulse.
template <class Handle>
void feel_pulse(self_pointer self, const std::string& part, Handle peers::*which) {
  auto& state = compat::state_of(self);
  const auto asked = state.to.*which;
  if (!asked || state.stopping || state.given_up.contains(asked->id()) || !state.suspects.insert(part).second)
    return;
  compat::request(self, asked, state.parts.config.pulse_timeout, pulse{})
      .then([self, part](pulse) { compat::state_of(self).suspects.erase(part); },
            [self, part, which, asked](const caf::error& why) {
              auto& state = compat::state_of(self);
              state.suspects.erase(part);
              if (compat::is_timeout(why) && state.to.*which == asked && !state.stopping)
                replace(self, part, asked);
            });
}

void look_after(self_pointer self, const std::string& part) {
  if (part == "kv_manager")
    feel_pulse(self, part, &peers::kv);
  else if (part == "drafter")
    feel_pulse(self, part, &peers::drafter);
  else if (part == "response_cache")
    feel_pulse(self, part, &peers::cache);
}

constexpr const char* part_names[] = {"intake",         "scheduler",      "verifier",       "kv_manager",
                                      "drafter",        "draft_model",    "response_cache", "metrics",
                                      "kv_tier_reader", "kv_tier_writer", "embedder",       "answer_store",
                                      "answer_judge"};

constexpr std::chrono::seconds tier_closing_time{3};

bool wanted(const supervisor_state& state, const std::string& name) {
  if (state.parts.network && (name == "verifier" || name == "kv_manager" || name.starts_with("draft")))
    return false;
  if (name.starts_with("kv_tier"))
    return state.parts.tier != nullptr;
  if (name == "draft_model" && !state.parts.draft_model.model && !state.parts.remote_drafter)
    return false;
  if (name == "embedder")
    return state.parts.embedder != nullptr;
  if (name == "answer_store")
    return state.parts.store != nullptr;
  if (name == "answer_judge")
    return state.parts.embedder != nullptr && state.parts.config.cache_policy == "bounded";
  return !name.starts_with("draft") || state.parts.config.drafter != "off";
}

/// Exits are urgent messages, so what a part holds and what waits in its mailbox ends here; but pages on
/// their way into files have a moment to arrive.
void stop_parts(self_pointer self) {
  auto& state = compat::state_of(self);
  state.stopping = true;
  for (const std::string name : part_names)
    if (name == "kv_tier_writer" && state.to.tier_writer)
      compat::urgent_send(state.to.tier_writer, tier_closing{compat::now(self) + tier_closing_time});
    else if (const auto part = part_of(state, name))
      compat::urgent_exit(part, caf::exit_reason::user_shutdown);
}

} // namespace

supervisor_actor::behavior_type supervisor(self_pointer self, ensemble parts) {
  auto& state = compat::state_of(self);
  state.parts = std::move(parts);
  if (!state.parts.vitals)
    state.parts.vitals = std::make_shared<vital_signs>(state.parts.config.step_timeout);
  restart_limits limits;
  limits.max_restarts = state.parts.config.max_restarts;
  limits.window_ms = std::chrono::milliseconds{state.parts.config.restart_window}.count();
  state.restarts = restart_policy{limits};
  state.flights = std::make_shared<flight_board>(state.parts.metrics);
  for (const std::string name : part_names)
    if (wanted(state, name) && name != "scheduler" && name != "intake")
      spawn_part(self, name);
  spawn_scheduler(self);
  spawn_part(self, "intake");
  introduce(state);
  return {
      [self](const submission& arrived) { compat::anon_send(compat::state_of(self).intake, arrived); },
      [self](const admission_ptr& prepared) {
        compat::anon_send(compat::state_of(self).scheduler, prepared);
      },
      // Two ways: at once to what runs, and behind the submission to what is still under way.
      [self](const cancellation& cancelled) {
        compat::urgent_send(compat::state_of(self).scheduler, cancelled);
        compat::anon_send(compat::state_of(self).intake, cancelled);
      },
      [self](const amendment& amended) { compat::anon_send(compat::state_of(self).intake, amended); },
      [self](tier_flush flush) { return self->delegate(compat::state_of(self).scheduler, flush); },
      [self](kv_inquiry asked) { return self->delegate(compat::state_of(self).to.kv, asked); },
      [self](const cache_purge& wanted) { return self->delegate(compat::state_of(self).to.cache, wanted); },
      [self](const embedding_demand_ptr& demand) {
        compat::anon_send(compat::state_of(self).to.embedder, demand);
      },
      [self](explained_crashes crashes) { compat::state_of(self).restarts.forgive("verifier", crashes.n); },
      [self](const suspicion& of) { look_after(self, of.part); },
      [self](const restart_due& due) {
        if (!compat::state_of(self).stopping)
          start(self, due.actor);
      },
      [self](const kill_order& order) {
        if (const auto part = part_of(compat::state_of(self), order.actor))
          compat::urgent_exit(part, caf::exit_reason::kill);
      },
      [self](shutdown_order) {
        stop_parts(self);
        compat::state_of(self).leaving = true;
        if (compat::state_of(self).n_running == 0)
          self->quit();
      },
  };
}

} // namespace souffleur
