#include "actors/cluster/drafter_caller.hpp"

#include "engine/drafting/shared_vocabulary.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace souffleur {

namespace {

using call_due = caf::atom_constant<caf::atom("calldue")>;
using caller_tick = caf::atom_constant<caf::atom("callertick")>;

using self_pointer = caf::stateful_actor<drafter_caller_state>*;

void lose(self_pointer self, const std::string& why) {
  auto& state = compat::state_of(self);
  if (state.drafter.is_away())
    return;
  if (state.drafter.is_new_complaint(why))
    spdlog::warn("no drafts of the drafter at {}: {}; it is tried again", state.address, why);
  state.ordered_at.reset();
  if (state.drafter.is_registered())
    state.board->tell(drafter_left{why});
  self->delayed_send(self, state.drafter.lose(self), call_due::value);
}

void call(self_pointer self) {
  auto& state = compat::state_of(self);
  state.drafter.call(
      self, state.connector, state.address, state.config.dead_after,
      [](const std::string& nonce) {
        return drafter_hello{drafter_protocol, nonce};
      },
      [self](const std::string& why) { lose(self, why); });
}

void answer(self_pointer self, const drafter_challenge& challenge) {
  auto& state = compat::state_of(self);
  if (!state.drafter.is_knocking())
    return;
  const auto& secret = state.config.secret;
  const auto& nonce = state.drafter.nonce();
  if (!is_same_proof(challenge.proof, make_proof(secret, node_side::drafter, nonce, challenge.nonce)))
    return lose(self, "it does not know the cluster's secret (or this server does not)");
  drafting_terms terms;
  terms.model_name = state.target.name;
  terms.vocabulary_size = state.target.vocabulary->vocabulary_size();
  terms.vocabulary = vocabulary_fingerprint(*state.target.vocabulary,
                                            std::min(terms.vocabulary_size, challenge.vocabulary_size));
  terms.races = state.target.races;
  compat::send(
      self, state.drafter.node(),
      drafter_proof{make_proof(secret, node_side::server, nonce, challenge.nonce), std::move(terms)});
}

void registered(self_pointer self, const drafter_registration& answer) {
  auto& state = compat::state_of(self);
  if (!answer.why.empty())
    return lose(self, "it refuses: " + answer.why);
  if (!state.drafter.is_knocking())
    return;
  state.drafter.took_us();
  spdlog::info("{} drafts, at {}", answer.model_name, state.address);
  state.board->tell(drafter_joined{answer.model_name, answer.passes});
}

void look_around(self_pointer self) {
  auto& state = compat::state_of(self);
  const auto longest = state.config.dead_after;
  const auto now = compat::now(self);
  const auto since = [&](const char* what) {
    return what + std::string{" for "} + std::to_string(longest.count()) + " ms";
  };
  if (state.drafter.is_silent(now, longest))
    lose(self, since("nothing was heard of it"));
  else if (state.ordered_at && now - *state.ordered_at > longest)
    lose(self, since("it has not answered an order"));
  else if (state.drafter.is_registered())
    compat::send(self, state.drafter.node(), drafter_beat{});
  self->delayed_send(self, state.config.heartbeat, caller_tick::value);
}

} // namespace

void drafter_board::listen(drafter_listener listener) {
  const std::lock_guard lock{mutex_};
  listener_ = std::move(listener);
  if (listener_ && there_)
    listener_(*there_);
}

void drafter_board::tell(drafter_news news) {
  const std::lock_guard lock{mutex_};
  if (const auto* joined = std::get_if<drafter_joined>(&news))
    there_ = *joined;
  else if (std::holds_alternative<drafter_left>(news))
    there_.reset();
  if (listener_)
    listener_(std::move(news));
}

void drafter_board::close() { listen({}); }

caf::behavior drafter_caller(self_pointer self, const cluster_config& config, const std::string& address,
                             const drafted_model& target, std::shared_ptr<drafter_board> board,
                             const caf::io::middleman_actor& connector) {
  auto& state = compat::state_of(self);
  state.config = config;
  state.address = address;
  state.target = target;
  state.board = std::move(board);
  state.connector = connector;
  self->set_default_handler(caf::drop);
  self->set_down_handler([self](const caf::down_msg& down) {
    if (compat::state_of(self).drafter.is_down(down))
      lose(self, "the connection broke");
  });
  self->delayed_send(self, config.heartbeat, caller_tick::value);
  self->send(self, call_due::value);
  return {
      [self](call_due) { call(self); },
      [self](const drafter_challenge& challenge) { answer(self, challenge); },
      [self](const drafter_registration& answer) { registered(self, answer); },
      [self](outgoing_order& one) {
        auto& state = compat::state_of(self);
        if (!state.drafter.is_registered())
          return;
        state.ordered_at = compat::now(self);
        state.n_ordered = one.order.number;
        compat::send(self, state.drafter.node(), std::move(one.order));
      },
      [self](drafted_batch& batch) {
        auto& state = compat::state_of(self);
        if (!state.drafter.is_registered())
          return;
        state.drafter.hear(compat::now(self));
        if (batch.number == state.n_ordered)
          state.ordered_at.reset();
        state.board->tell(std::move(batch));
      },
      [self](drafter_beat) { compat::state_of(self).drafter.hear(compat::now(self)); },
      [self](caller_tick) { look_around(self); },
  };
}

} // namespace souffleur
