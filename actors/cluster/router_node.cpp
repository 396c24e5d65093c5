#include "actors/cluster/router_node.hpp"

#include "actors/cluster/handshake.hpp"
#include "actors/cluster/node_system.hpp"
#include "actors/messages/admission.hpp"

#include <spdlog/spdlog.h>

#include <map>
#include <mutex>

namespace souffleur {

namespace {

constexpr std::size_t max_guests = 256; ///< that have not shown yet that they know the secret
constexpr std::chrono::seconds guest_time{5};

/// Whom the dispatcher can reach. Thread-safe; outlives the gate.
class switchboard {
public:
  void listen(worker_listener listener) {
    const std::lock_guard lock{mutex_};
    listener_ = std::move(listener);
    for (const auto& [id, one] : workers_) {
      compat::anon_send(one.handle, orders_void{});
      listener_({id, worker_joined{one.profile}});
    }
  }
  void send(worker_id worker, router_message message) {
    const std::lock_guard lock{mutex_};
    if (const auto found = workers_.find(worker); found != workers_.end())
      std::visit([&](auto& one) { compat::anon_send(found->second.handle, std::move(one)); }, message);
  }
  void join(worker_id worker, const caf::actor& handle, const worker_profile& profile) {
    const std::lock_guard lock{mutex_};
    workers_[worker] = {handle, profile};
    tell({worker, worker_joined{profile}});
  }
  void leave(worker_id worker, const std::string& why) {
    const std::lock_guard lock{mutex_};
    workers_.erase(worker);
    tell({worker, worker_left{why}});
  }
  void pass_on(worker_news news) {
    const std::lock_guard lock{mutex_};
    tell(std::move(news));
  }
  void close() {
    const std::lock_guard lock{mutex_};
    workers_.clear();
    listener_ = nullptr;
  }

private:
  struct link {
    caf::actor handle;
    worker_profile profile;
  };

  void tell(worker_news news) const {
    if (listener_)
      listener_(std::move(news));
  }

  std::mutex mutex_; ///< held while the listener is called, so that news keep their order
  worker_listener listener_;
  std::map<worker_id, link> workers_;
};

struct guest {
  std::string worker_nonce;
  std::string router_nonce;
  steady_time since;
};
struct member {
  worker_id id = 0;
  std::string name;
  steady_time heard;
};
struct gate_state {
  cluster_config config;
  worker_terms terms;
  std::shared_ptr<switchboard> board;
  std::map<caf::actor_addr, guest> guests;
  std::map<caf::actor_addr, member> members;
  std::string computes; ///< of the first worker
  worker_id n_workers = 0;
};
using self_pointer = caf::stateful_actor<gate_state>*;

using gate_tick = caf::atom_constant<caf::atom("gatetick")>;

caf::actor sender_of(self_pointer self) { return caf::actor_cast<caf::actor>(self->current_sender()); }

void refuse(self_pointer self, const std::string& why) {
  spdlog::warn("a worker is refused: {}", why);
  compat::send(self, sender_of(self), registration{why, 0});
}

/// What a fingerprint says of the file; behind it comes how it is computed with.
std::string file_of(const std::string& fingerprint) { return fingerprint.substr(0, fingerprint.find('-')); }

/// Empty if this worker may be one.
std::string complaint(const gate_state& state, const worker_profile& profile) {
  if (file_of(profile.fingerprint) != file_of(state.terms.fingerprint))
    return "it serves another model (fingerprint " + profile.fingerprint + "; the router's is " +
           state.terms.fingerprint + ")";
  if (!state.computes.empty() && profile.computes != state.computes)
    return "it computes otherwise than the first worker did, so a stream could not go on there to the bit (" +
           profile.computes + "; the first one: " + state.computes + ")";
  if (profile.n_kv_tokens < state.terms.n_kv_tokens)
    return "its kv.tokens are " + std::to_string(profile.n_kv_tokens) + "; the router lets in what needs " +
           std::to_string(state.terms.n_kv_tokens);
  return "";
}

void greet(self_pointer self, const worker_hello& hello) {
  auto& state = compat::state_of(self);
  if (!self->current_sender()) // whoever is connected may say anything
    return;
  if (hello.protocol != cluster_protocol)
    return refuse(self, "it speaks protocol " + std::to_string(hello.protocol) +
                            " of the cluster; the router " + std::to_string(cluster_protocol));
  if (state.guests.size() >= max_guests)
    return;
  const auto address = self->current_sender()->address();
  auto& one = state.guests[address] = {hello.nonce, make_nonce(), compat::now(self)};
  compat::send(self, sender_of(self),
               router_challenge{one.router_nonce, make_proof(state.config.secret, node_side::router,
                                                             one.worker_nonce, one.router_nonce)});
}

void forget(self_pointer self, const caf::actor_addr& address, const std::string& why) {
  auto& state = compat::state_of(self);
  const auto found = state.members.extract(address);
  if (found.empty())
    return;
  spdlog::warn("worker {} is gone: {}", found.mapped().name, why);
  state.board->leave(found.mapped().id, why);
}

void admit(self_pointer self, const worker_proof& shown) {
  auto& state = compat::state_of(self);
  if (!self->current_sender()) // whoever is connected may say anything
    return;
  const auto address = self->current_sender()->address();
  const auto known = state.guests.extract(address);
  if (known.empty())
    return;
  const auto& one = known.mapped();
  if (!is_same_proof(shown.proof,
                     make_proof(state.config.secret, node_side::worker, one.worker_nonce, one.router_nonce)))
    return refuse(self, "it does not know the cluster's secret");
  if (const auto why = complaint(state, shown.profile); !why.empty())
    return refuse(self, why);
  forget(self, address, "it joins again");
  if (state.members.empty())
    state.computes = shown.profile.computes;
  const auto handle = sender_of(self);
  const auto id = ++state.n_workers;
  state.members[address] = {id, shown.profile.address, compat::now(self)};
  self->monitor(handle);
  spdlog::info("worker {} joins; there are {} now", shown.profile.address, state.members.size());
  compat::send(self, handle, registration{"", state.config.n_batches});
  state.board->join(id, handle, shown.profile);
}

/// Null: it is none of the workers, or no longer.
member* speaker(self_pointer self) {
  auto& state = compat::state_of(self);
  if (!self->current_sender())
    return nullptr;
  const auto found = state.members.find(self->current_sender()->address());
  if (found == state.members.end()) {
    compat::send(self, sender_of(self), registration{"it was silent for too long", 0});
    return nullptr;
  }
  found->second.heard = compat::now(self);
  return &found->second;
}

template <class What>
void pass_on(self_pointer self, What what) {
  if (const auto* one = speaker(self))
    compat::state_of(self).board->pass_on({one->id, std::move(what)});
}

void look_around(self_pointer self) {
  auto& state = compat::state_of(self);
  const auto now = compat::now(self);
  std::erase_if(state.guests, [&](const auto& one) { return now - one.second.since > guest_time; });
  std::vector<caf::actor_addr> silent;
  for (const auto& [address, one] : state.members)
    if (now - one.heard > state.config.dead_after)
      silent.push_back(address);
    else
      state.board->send(one.id, batch_credit{0}); // a sign of life
  for (const auto& address : silent)
    forget(self, address,
           "nothing was heard of it for " + std::to_string(state.config.dead_after.count()) + " ms");
  self->delayed_send(self, state.config.heartbeat, gate_tick::value);
}

/// The only actor that is reachable from outside.
caf::behavior gate(self_pointer self, const cluster_config& config, const worker_terms& terms,
                   std::shared_ptr<switchboard> board) {
  compat::state_of(self).config = config;
  compat::state_of(self).terms = terms;
  compat::state_of(self).board = std::move(board);
  compat::end_with_exceptions(self);
  self->set_default_handler(caf::drop);
  self->set_down_handler(
      [self](const caf::down_msg& down) { forget(self, down.source, "its connection broke"); });
  self->delayed_send(self, config.heartbeat, gate_tick::value);
  return {
      [self](const worker_hello& hello) { greet(self, hello); },
      [self](const worker_proof& shown) { admit(self, shown); },
      [self](step_batch& batch) { pass_on(self, std::move(batch)); },
      [self](worker_status& status) { pass_on(self, std::move(status)); },
      [self](shipped_page& page) { pass_on(self, std::move(page)); },
      [self](page_receipt& receipt) { pass_on(self, std::move(receipt)); },
      [self](prefill_ended& ended) { pass_on(self, std::move(ended)); },
      [self](gate_tick) { look_around(self); },
  };
}

class caf_router_node final : public router_node {
public:
  caf_router_node(const cluster_config& config, const worker_terms& terms)
      : board_(std::make_shared<switchboard>()), node_(config) {
    gate_ = node_.system.spawn(gate, config, terms, board_);
    port_ = publish(node_.system, gate_, config);
  }
  ~caf_router_node() override {
    board_->close();
    caf::anon_send_exit(gate_, caf::exit_reason::user_shutdown);
    gate_ = nullptr;
  }

  void listen(worker_listener listener) override { board_->listen(std::move(listener)); }
  void send(worker_id worker, router_message message) override { board_->send(worker, std::move(message)); }
  std::uint16_t port() const override { return *port_; }
  const result<std::uint16_t>& bound() const { return port_; }

private:
  std::shared_ptr<switchboard> board_;
  node_system node_;
  caf::actor gate_; ///< must go before the system
  result<std::uint16_t> port_ = std::uint16_t{0};
};

} // namespace

result<std::shared_ptr<router_node>> router_node::start(const cluster_config& config,
                                                        const worker_terms& terms) {
  auto node = std::make_shared<caf_router_node>(config, terms);
  if (!node->bound())
    return failure{node->bound().error()};
  return std::shared_ptr<router_node>{std::move(node)};
}

} // namespace souffleur
