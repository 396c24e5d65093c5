#include "actors/cluster/dispatcher.hpp"

namespace souffleur {

namespace {

using self_pointer = dispatcher_actor::stateful_pointer<dispatcher_state>;

constexpr std::chrono::milliseconds deadline_resolution{50};

/// Sends what the core has to say.
void settle(self_pointer self) {
  auto& state = compat::state_of(self);
  for (auto& [to, order] : state.core->take_orders())
    state.network->send(to, std::move(order));
  auto reports = state.core->take_reports();
  if (state.reports)
    for (auto& ended : reports)
      compat::anon_send(state.reports, std::move(ended));
  state.metrics->record(cluster_report{state.core->n_workers(), state.core->n_streams(),
                                       state.core->n_unplaced(), state.core->n_replays(),
                                       state.core->take_prefill_counts()});
  if (!state.core->empty() && !std::exchange(state.watches_deadlines, true))
    self->delayed_send(self, deadline_resolution, deadline_check{});
}

/// News come on the network's threads, and after the actor's end.
worker_listener listener_of(self_pointer self) {
  return [weak = caf::actor_cast<caf::weak_actor_ptr>(self)](worker_news news) {
    if (const auto strong = weak.lock())
      compat::anon_send(caf::actor_cast<caf::actor>(strong),
                        worker_news_ptr{std::make_shared<const worker_news>(std::move(news))});
  };
}

} // namespace

dispatcher_actor::behavior_type dispatcher(self_pointer self, const cluster_config& config,
                                           std::shared_ptr<const tokenizer> vocabulary,
                                           std::shared_ptr<worker_network> network,
                                           std::shared_ptr<serving_metrics> metrics,
                                           std::shared_ptr<vital_signs> vitals) {
  auto& state = compat::state_of(self);
  state.core = std::make_unique<dispatch_core>(config, std::move(vocabulary));
  state.network = std::move(network);
  state.metrics = std::move(metrics);
  state.vitals = std::move(vitals);
  state.vitals->part_is_down("workers", true);
  state.network->listen(listener_of(self));
  return {
      [self](const admission_ptr& request) {
        compat::state_of(self).core->admit(*request, compat::now(self));
        settle(self);
      },
      [self](const cancellation& cancelled) {
        compat::state_of(self).core->cancel(cancelled.id, compat::now(self));
        settle(self);
      },
      [self](const amendment& amended) {
        compat::state_of(self).core->amend(amended.id, amended.change, compat::now(self));
        settle(self);
      },
      [self](const peers_ptr& to) { compat::state_of(self).reports = to->metrics; },
      [](kv_reset) {},
      [](next_round) {},
      [](draft_model_late) {},
      [self](deadline_check) {
        auto& state = compat::state_of(self);
        state.watches_deadlines = false;
        state.core->expire(compat::now(self));
        settle(self);
      },
      [](tier_flush) { return tier_flushed{}; },
      [self](const worker_news_ptr& news) {
        auto& state = compat::state_of(self);
        const bool had_workers = state.core->n_workers() > 0;
        state.core->take(*news, compat::now(self));
        if (const bool has_workers = state.core->n_workers() > 0; has_workers != had_workers) {
          if (has_workers)
            state.vitals->part_is_up("workers");
          else
            state.vitals->part_is_down("workers", true);
        }
        settle(self);
      },
  };
}

} // namespace souffleur
