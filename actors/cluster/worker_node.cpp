#include "actors/cluster/worker_node.hpp"

#include "actors/cluster/called_peer.hpp"
#include "actors/cluster/worker_core.hpp"

#include <spdlog/spdlog.h>

#include <atomic>
#include <optional>

namespace souffleur {

/// Something has happened to one of the streams, of which the serving actors know the id.
struct local_event {
  request_id id = 0;
  generation_event event;
};

/// A page of a prompt that is computed for another worker was copied.
struct copied_page {
  attempt_id attempt = 0;
  named_page page;
  page_bytes_ptr bytes;
};

/// No more of them are copied.
struct shipment_end {
  attempt_id attempt = 0;
};

} // namespace souffleur

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::local_event)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::copied_page)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::shipment_end)

namespace souffleur {

namespace {

/// A step's events come one after the other; what comes within this time of the first one shares its batch.
constexpr std::chrono::microseconds gathering{200};

using connect_due = caf::atom_constant<caf::atom("connectdue")>;
using worker_tick = caf::atom_constant<caf::atom("workertick")>;
using flush_due = caf::atom_constant<caf::atom("flushdue")>;
using drain_order = caf::atom_constant<caf::atom("drain")>;
using hand_over_order = caf::atom_constant<caf::atom("handover")>;

/// The serving system behind an agent, to which it tells what happens there, as long as the agent lives.
class served_host final : public worker_host {
public:
  served_host(serving_system& service, caf::weak_actor_ptr agent)
      : service_(service), agent_(std::move(agent)) {}

  void submit(admitted_request request) override {
    const auto id = request.id;
    service_.submit_prepared(std::move(request), [agent = agent_, id](generation_event event) {
      tell(agent, local_event{id, std::move(event)});
    });
  }
  void cancel(request_id id) override { service_.cancel(id); }
  void change(request_id id, const generation_change& change) override { service_.change(id, change); }
  page_shipment_ptr shipment_for(attempt_id attempt, const page_shipment_options& options) override {
    return std::make_shared<page_shipment>(
        options,
        [agent = agent_, attempt](const named_page& page, page_bytes_ptr bytes) {
          tell(agent, copied_page{attempt, page, std::move(bytes)});
        },
        [agent = agent_, attempt] { tell(agent, shipment_end{attempt}); });
  }

private:
  template <class What>
  static void tell(const caf::weak_actor_ptr& agent, What what) {
    if (const auto strong = agent.lock())
      compat::anon_send(caf::actor_cast<caf::actor>(strong), std::move(what));
  }

  serving_system& service_;
  caf::weak_actor_ptr agent_;
};

struct agent_state {
  cluster_config config;
  worker_profile profile;
  std::shared_ptr<std::atomic<int>> n_streams;

  called_peer router{std::chrono::seconds{2}};
  std::optional<served_host> host;
  std::optional<worker_core> core;
  bool flushes = false; ///< a flush_due is on its way
};
using self_pointer = caf::stateful_actor<agent_state>*;

/// After whatever was told the core.
void pass_on(self_pointer self) {
  auto& state = compat::state_of(self);
  for (auto& message : state.core->take_messages())
    std::visit([&](auto& what) { compat::send(self, state.router.node(), std::move(what)); }, message);
  state.n_streams->store(state.core->n_streams());
}

void flush_soon(self_pointer self) {
  auto& state = compat::state_of(self);
  if (state.core->holds_progress() && !std::exchange(state.flushes, true))
    self->delayed_send(self, gathering, flush_due::value);
}

void lose_router(self_pointer self, const std::string& why) {
  auto& state = compat::state_of(self);
  if (state.router.is_away())
    return;
  if (state.router.is_new_complaint(why))
    spdlog::warn("the router at {} is lost: {}; it is tried again", state.config.router, why);
  state.core->left();
  pass_on(self);
  self->delayed_send(self, state.router.lose(self), connect_due::value);
}

void connect(self_pointer self) {
  auto& state = compat::state_of(self);
  state.router.call(
      self, connector_of(self->system(), state.config), state.config.router, state.config.dead_after,
      [](const std::string& nonce) {
        return worker_hello{cluster_protocol, nonce};
      },
      [self](const std::string& why) { lose_router(self, why); });
}

void answer(self_pointer self, const router_challenge& challenge) {
  auto& state = compat::state_of(self);
  if (!state.router.is_knocking())
    return;
  const auto& secret = state.config.secret;
  const auto& nonce = state.router.nonce();
  if (!is_same_proof(challenge.proof, make_proof(secret, node_side::router, nonce, challenge.nonce)))
    return lose_router(self, "it does not know the cluster's secret (or this worker does not)");
  compat::send(self, state.router.node(),
               worker_proof{make_proof(secret, node_side::worker, nonce, challenge.nonce), state.profile});
}

void registered(self_pointer self, const registration& answer) {
  auto& state = compat::state_of(self);
  if (!answer.why.empty())
    return lose_router(self, "it takes this worker not: " + answer.why);
  if (!state.router.is_knocking())
    return;
  state.router.took_us();
  spdlog::info("working for the router at {}", state.config.router);
  state.core->joined(answer.n_credits);
  state.core->report_status();
  pass_on(self);
}

void look_around(self_pointer self) {
  auto& state = compat::state_of(self);
  if (state.router.is_silent(compat::now(self), state.config.dead_after))
    lose_router(self,
                "nothing was heard of it for " + std::to_string(state.config.dead_after.count()) + " ms");
  state.core->report_status();
  pass_on(self);
  self->delayed_send(self, state.config.heartbeat, worker_tick::value);
}

/// Handles one of router_message, if it comes from the router that this worker works for.
template <class Order>
auto carried_out(self_pointer self) {
  return [self](const Order& order) {
    auto& state = compat::state_of(self);
    state.router.hear(compat::now(self));
    if (!state.router.is_registered())
      return;
    state.core->take(order, compat::now(self));
    pass_on(self);
    flush_soon(self);
  };
}

caf::behavior agent(self_pointer self, const cluster_config& config, const worker_profile& profile,
                    serving_system* service, std::shared_ptr<std::atomic<int>> n_streams) {
  auto& state = compat::state_of(self);
  state.config = config;
  state.profile = profile;
  state.n_streams = std::move(n_streams);
  state.host.emplace(*service, caf::actor_cast<caf::weak_actor_ptr>(self));
  state.core.emplace(config, service->format(), service->pages(), *state.host);
  self->set_default_handler(caf::drop);
  self->set_down_handler([self](const caf::down_msg& down) {
    if (compat::state_of(self).router.is_down(down))
      lose_router(self, "the connection broke");
  });
  self->delayed_send(self, config.heartbeat, worker_tick::value);
  self->send(self, connect_due::value);
  return {
      [self](connect_due) { connect(self); },
      [self](const router_challenge& challenge) { answer(self, challenge); },
      [self](const registration& answer) { registered(self, answer); },
      carried_out<stream_order>(self),
      carried_out<stream_cancel>(self),
      carried_out<stream_change>(self),
      carried_out<stream_postponement>(self),
      carried_out<batch_credit>(self),
      carried_out<orders_void>(self),
      carried_out<prefill_order>(self),
      carried_out<shipped_page>(self),
      carried_out<page_receipt>(self),
      [self](local_event& what) {
        compat::state_of(self).core->happened(what.id, std::move(what.event));
        pass_on(self);
        flush_soon(self);
      },
      [self](const copied_page& one) {
        compat::state_of(self).core->copied(one.attempt, one.page, one.bytes);
        pass_on(self);
      },
      [self](shipment_end end) {
        compat::state_of(self).core->shipment_over(end.attempt);
        pass_on(self);
      },
      [self](hand_over_order) {
        compat::state_of(self).core->hand_over_all();
        pass_on(self);
      },
      [self](drain_order) {
        auto& core = *compat::state_of(self).core;
        core.drain();
        core.report_status();
        pass_on(self);
      },
      [self](flush_due) {
        auto& state = compat::state_of(self);
        state.flushes = false;
        state.core->flush();
        pass_on(self);
      },
      [self](worker_tick) { look_around(self); },
  };
}

class caf_worker_node final : public worker_node {
public:
  caf_worker_node(const cluster_config& config, const worker_profile& profile, serving_system& service)
      : n_streams_(std::make_shared<std::atomic<int>>(0)), node_(config),
        agent_(node_.system.spawn(agent, config, profile, &service, n_streams_)) {}
  ~caf_worker_node() override {
    caf::anon_send_exit(agent_, caf::exit_reason::user_shutdown);
    caf::scoped_actor waiting{node_.system};
    waiting->wait_for(agent_); // its service may end then
    agent_ = nullptr;
  }
  void drain() override { caf::anon_send(agent_, drain_order::value); }
  void hand_over() override { caf::anon_send(agent_, hand_over_order::value); }
  int n_streams() const override { return n_streams_->load(); }

private:
  std::shared_ptr<std::atomic<int>> n_streams_;
  node_system node_;
  caf::actor agent_; ///< must go before the system
};

} // namespace

std::unique_ptr<worker_node> worker_node::start(const cluster_config& config, const worker_profile& profile,
                                                serving_system& service) {
  return std::make_unique<caf_worker_node>(config, profile, service);
}

} // namespace souffleur
