#include "actors/cluster/drafter_caller.hpp"

#include "actors/cluster/handshake.hpp"
#include "engine/drafting/shared_vocabulary.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace souffleur {

namespace {

constexpr std::chrono::milliseconds first_pause{100};
constexpr std::chrono::milliseconds longest_pause{5000};

using call_due = caf::atom_constant<caf::atom("calldue")>;
using caller_tick = caf::atom_constant<caf::atom("callertick")>;

using self_pointer = caf::stateful_actor<drafter_caller_state>*;
using phase = drafter_caller_state::phase;

void complain(drafter_caller_state& state, const std::string& what) {
  if (std::exchange(state.last_complaint, what) != what)
    spdlog::warn("no drafts of the drafter at {}: {}; it is tried again", state.address, what);
}

void lose(self_pointer self, const std::string& why) {
  auto& state = compat::state_of(self);
  if (state.now == phase::away)
    return;
  complain(state, why);
  if (state.drafter)
    self->demonitor(state.drafter);
  state.drafter = nullptr;
  state.ordered_at.reset();
  if (std::exchange(state.now, phase::away) == phase::registered)
    state.board->tell(drafter_left{why});
  self->delayed_send(self, state.pause, call_due::value);
  state.pause = std::min(2 * state.pause, longest_pause);
}

void call(self_pointer self) {
  auto& state = compat::state_of(self);
  if (state.now != phase::away)
    return;
  state.now = phase::knocking;
  state.heard = compat::now(self);
  look_up(
      self, state.connector, state.address, state.config.dead_after,
      [self](const caf::actor& found) {
        auto& state = compat::state_of(self);
        state.drafter = found;
        state.heard = compat::now(self);
        state.nonce = make_nonce();
        self->monitor(state.drafter);
        compat::send(self, state.drafter, drafter_hello{drafter_protocol, state.nonce});
      },
      [self](const std::string& why) { lose(self, why); });
}

void answer(self_pointer self, const drafter_challenge& challenge) {
  auto& state = compat::state_of(self);
  if (state.now != phase::knocking)
    return;
  const auto& secret = state.config.secret;
  if (!is_same_proof(challenge.proof, make_proof(secret, node_side::drafter, state.nonce, challenge.nonce)))
    return lose(self, "it does not know the cluster's secret (or this server does not)");
  drafting_terms terms;
  terms.model_name = state.target.name;
  terms.vocabulary_size = state.target.vocabulary->vocabulary_size();
  terms.vocabulary = vocabulary_fingerprint(*state.target.vocabulary,
                                            std::min(terms.vocabulary_size, challenge.vocabulary_size));
  terms.races = state.target.races;
  compat::send(
      self, state.drafter,
      drafter_proof{make_proof(secret, node_side::server, state.nonce, challenge.nonce), std::move(terms)});
}

void registered(self_pointer self, const drafter_registration& answer) {
  auto& state = compat::state_of(self);
  if (!answer.why.empty())
    return lose(self, "it refuses: " + answer.why);
  if (state.now != phase::knocking)
    return;
  state.now = phase::registered;
  state.pause = first_pause;
  state.last_complaint.clear();
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
  if (state.now != phase::away && state.drafter && now - state.heard > longest)
    lose(self, since("nothing was heard of it"));
  else if (state.ordered_at && now - *state.ordered_at > longest)
    lose(self, since("it has not answered an order"));
  else if (state.now == phase::registered)
    compat::send(self, state.drafter, drafter_beat{});
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
  state.pause = first_pause;
  self->set_default_handler(caf::drop);
  self->set_down_handler([self](const caf::down_msg& down) {
    const auto& state = compat::state_of(self);
    if (state.drafter && down.source == state.drafter.address())
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
        if (state.now != phase::registered)
          return;
        state.ordered_at = compat::now(self);
        state.n_ordered = one.order.number;
        compat::send(self, state.drafter, std::move(one.order));
      },
      [self](drafted_batch& batch) {
        auto& state = compat::state_of(self);
        if (state.now != phase::registered)
          return;
        state.heard = compat::now(self);
        if (batch.number == state.n_ordered)
          state.ordered_at.reset();
        state.board->tell(std::move(batch));
      },
      [self](drafter_beat) { compat::state_of(self).heard = compat::now(self); },
      [self](caller_tick) { look_around(self); },
  };
}

} // namespace souffleur
