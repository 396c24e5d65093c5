#include "actors/cluster/drafter_gate.hpp"

#include "actors/cluster/draft_exchange.hpp"
#include "actors/cluster/handshake.hpp"
#include "engine/drafting/shared_vocabulary.hpp"
#include "engine/elapsed.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace souffleur {

namespace {

constexpr std::size_t max_guests = 256;
constexpr std::chrono::seconds guest_time{5};

using gate_tick = caf::atom_constant<caf::atom("draftgate")>;

using self_pointer = caf::stateful_actor<drafter_gate_state>*;

caf::actor sender_of(self_pointer self) { return caf::actor_cast<caf::actor>(self->current_sender()); }

void refuse(self_pointer self, const std::string& why) {
  spdlog::warn("a server is refused: {}", why);
  compat::send(self, sender_of(self), drafter_registration{why, "", {}});
}

bool is_server(self_pointer self) {
  const auto& state = compat::state_of(self);
  return state.server && self->current_sender() &&
         state.server.address() == self->current_sender()->address();
}

void leave(self_pointer self, const std::string& why) {
  auto& state = compat::state_of(self);
  if (!state.server)
    return;
  spdlog::warn("the server of {} is gone: {}", state.server_model, why);
  self->demonitor(state.server);
  state.server = nullptr;
  state.known.clear();
  state.desk->close();
}

void greet(self_pointer self, const drafter_hello& hello) {
  auto& state = compat::state_of(self);
  if (!self->current_sender()) // whoever is connected may say anything
    return;
  if (hello.protocol != drafter_protocol)
    return refuse(self, "it speaks protocol " + std::to_string(hello.protocol) +
                            " of drafting; this drafter " + std::to_string(drafter_protocol));
  if (state.guests.size() >= max_guests)
    return;
  if (is_server(self))
    leave(self, "it begins again");
  auto& one =
      state.guests[self->current_sender()->address()] = {hello.nonce, make_nonce(), compat::now(self)};
  compat::send(self, sender_of(self),
               drafter_challenge{
                   one.drafter_nonce,
                   make_proof(state.config.secret, node_side::drafter, one.server_nonce, one.drafter_nonce),
                   state.profile.vocabulary->vocabulary_size()});
}

/// Empty if this model can draft so.
std::string complaint(const drafter_gate_state& state, const drafting_terms& terms, int n_shared) {
  if (n_shared <= 0 || vocabulary_fingerprint(*state.profile.vocabulary, n_shared) != terms.vocabulary)
    return "the draft model " + state.profile.model_name + " has another vocabulary than " + terms.model_name;
  if (state.server)
    return "it drafts for another server, of " + state.server_model;
  return "";
}

void admit(self_pointer self, const drafter_proof& shown) {
  auto& state = compat::state_of(self);
  if (!self->current_sender()) // whoever is connected may say anything
    return;
  const auto known = state.guests.extract(self->current_sender()->address());
  if (known.empty())
    return;
  const auto& one = known.mapped();
  if (!is_same_proof(shown.proof,
                     make_proof(state.config.secret, node_side::server, one.server_nonce, one.drafter_nonce)))
    return refuse(self, "it does not know the cluster's secret");
  const int n_shared = std::min(state.profile.vocabulary->vocabulary_size(), shown.terms.vocabulary_size);
  if (const auto why = complaint(state, shown.terms, n_shared); !why.empty())
    return refuse(self, why);
  if (!state.desk->open(n_shared, shown.terms.races))
    return refuse(self, "it still computes what nobody waits for any more");
  state.server = sender_of(self);
  state.server_model = shown.terms.model_name;
  state.heard = compat::now(self);
  ++state.n_servers;
  self->monitor(state.server);
  spdlog::info("drafting for a server of {}", state.server_model);
  compat::send(self, state.server, drafter_registration{"", state.profile.model_name, state.profile.passes});
}

/// What the order leaves open: which sequences end where it starts over.
void end_forgotten(drafter_gate_state& state, const draft_order& order, draft_demand& demand) {
  if (order.starts_over)
    for (const auto id : std::exchange(state.known, {}))
      demand.ended.push_back({id, 0, {}, nullptr, false});
  for (const auto id : order.ended)
    state.known.erase(id);
  for (const auto& wish : order.wishes)
    state.known.insert(wish.id);
}

void carry_out(self_pointer self, const draft_order& order) {
  auto& state = compat::state_of(self);
  state.heard = compat::now(self);
  auto demand = demand_of(order);
  if (!demand) {
    refuse(self, demand.error());
    return leave(self, demand.error());
  }
  end_forgotten(state, order, *demand);
  state.desk->draft(std::move(*demand),
                    [weak = caf::actor_cast<caf::weak_actor_ptr>(self), number = order.number,
                     n_server = state.n_servers, began = state.heard](draft_offer_ptr offer) {
                      if (const auto strong = weak.lock())
                        compat::anon_send(caf::actor_cast<caf::actor>(strong),
                                          desk_answer{number, n_server, std::move(offer), began});
                    });
}

void answer(self_pointer self, const desk_answer& made) {
  auto& state = compat::state_of(self);
  if (!state.server || made.n_server != state.n_servers)
    return;
  if (!made.offer) {
    const std::string why = "the draft model has failed";
    compat::send(self, state.server, drafter_registration{why, "", {}});
    return leave(self, why);
  }
  auto batch = batch_of(*made.offer);
  batch.number = made.number;
  batch.took_us = us_between(made.began, compat::now(self));
  compat::send(self, state.server, std::move(batch));
}

void look_around(self_pointer self) {
  auto& state = compat::state_of(self);
  const auto now = compat::now(self);
  std::erase_if(state.guests, [&](const auto& one) { return now - one.second.since > guest_time; });
  if (state.server && now - state.heard > state.config.dead_after)
    leave(self, "nothing was heard of it for " + std::to_string(state.config.dead_after.count()) + " ms");
  if (state.server)
    compat::send(self, state.server, drafter_beat{});
  self->delayed_send(self, state.config.heartbeat, gate_tick::value);
}

} // namespace

caf::behavior drafter_gate(self_pointer self, const cluster_config& config, const drafter_profile& profile,
                           std::shared_ptr<drafting_desk> desk) {
  auto& state = compat::state_of(self);
  state.config = config;
  state.profile = profile;
  state.desk = std::move(desk);
  compat::end_with_exceptions(self);
  self->set_default_handler(caf::drop);
  self->set_down_handler([self](const caf::down_msg& down) {
    const auto& state = compat::state_of(self);
    if (state.server && down.source == state.server.address())
      leave(self, "its connection broke");
  });
  self->delayed_send(self, config.heartbeat, gate_tick::value);
  return {
      [self](const drafter_hello& hello) { greet(self, hello); },
      [self](const drafter_proof& shown) { admit(self, shown); },
      [self](const draft_order& order) {
        if (is_server(self))
          carry_out(self, order);
        else
          compat::send(self, sender_of(self), drafter_registration{"it was silent for too long", "", {}});
      },
      [self](drafter_beat) {
        if (is_server(self))
          compat::state_of(self).heard = compat::now(self);
        else
          compat::send(self, sender_of(self), drafter_registration{"it was silent for too long", "", {}});
      },
      [self](const desk_answer& made) { answer(self, made); },
      [self](gate_tick) { look_around(self); },
  };
}

} // namespace souffleur
