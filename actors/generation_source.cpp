#include "actors/generation_source.hpp"

#include "actors/event_gate.hpp"

#include <atomic>

namespace souffleur {

namespace {

/// Apart from those that sockets give out.
request_id next_request_id() {
  static std::atomic<request_id> next{request_id{1} << 62};
  return next++;
}

struct source_state {
  event_gate gate{std::nullopt};
  request_id id = 0;
  std::weak_ptr<generation_service> service;
  caf::actor consumer;
  compat::watch_list watched;
  bool has_last = false; ///< nothing more will come

  void cancel() const {
    if (const auto serving = has_last ? nullptr : service.lock())
      serving->cancel(id);
  }
  /// However the source ends, nobody generates for it any longer.
  ~source_state() { cancel(); }
};

using self_pointer = generation_source::stateful_pointer<source_state>;

bool is_last(const generation_event& event) {
  return std::holds_alternative<generation_finished>(event) ||
         std::holds_alternative<generation_failed>(event);
}

void deliver(self_pointer self) {
  auto& state = compat::state_of(self);
  while (auto event = state.gate.next()) {
    const bool last = is_last(*event);
    compat::anon_send(state.consumer, generation_update{state.id, std::move(*event)});
    if (last)
      self->quit();
  }
}

generation_source::behavior_type source(self_pointer self, std::weak_ptr<generation_service> service,
                                        std::shared_ptr<generation_request> request, caf::actor consumer,
                                        std::optional<std::int64_t> n_granted) {
  auto& state = compat::state_of(self);
  state.gate = event_gate{n_granted};
  state.id = request->id;
  state.service = std::move(service);
  state.consumer = std::move(consumer);
  state.watched.watch(self, state.consumer, [self](const caf::error&) { self->quit(); });
  // The sink keeps the source alive until the last event, which always comes.
  auto sink = [to = caf::actor_cast<generation_source>(self)](generation_event event) {
    compat::anon_send(to, generation_event_ptr{std::make_shared<const generation_event>(std::move(event))});
  };
  if (const auto serving = state.service.lock())
    serving->submit(std::move(*request), std::move(sink));
  else
    sink(generation_failed{503, "shutting_down", "Souffleur has ended.", "", 0});
  return {[self](const token_grant& grant) {
            compat::state_of(self).gate.grant(grant.n_tokens);
            deliver(self);
          },
          [self](generation_stop) { compat::state_of(self).cancel(); },
          [self](const generation_event_ptr& event) {
            auto& receiving = compat::state_of(self);
            receiving.has_last = is_last(*event);
            receiving.gate.push(*event);
            deliver(self);
          }};
}

} // namespace

generation_handle spawn_generation(caf::actor_system& system, std::weak_ptr<generation_service> service,
                                   generation_request request, caf::actor consumer,
                                   std::optional<std::int64_t> n_granted) {
  const auto id = next_request_id();
  request.id = id;
  return {id,
          system.spawn(source, std::move(service), std::make_shared<generation_request>(std::move(request)),
                       std::move(consumer), n_granted)};
}

} // namespace souffleur
