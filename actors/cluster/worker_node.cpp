#include "actors/cluster/worker_node.hpp"

#include "actors/cluster/called_peer.hpp"
#include "actors/cluster/held_progress.hpp"
#include "actors/cluster/routed_request.hpp"
#include "engine/kv/arriving_pages.hpp"
#include "engine/kv/prefix_journal.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <unordered_map>

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
struct shipment_over {
  attempt_id attempt = 0;
};

} // namespace souffleur

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::local_event)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::copied_page)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::shipment_over)

namespace souffleur {

namespace {

/// Tells the router's streams from those of the worker's own clients.
constexpr request_id routed_bit = request_id{1} << 62;

/// A step's events come one after the other; what comes within this time of the first one shares its batch.
constexpr std::chrono::microseconds gathering{200};
constexpr std::size_t shipment_window_bytes = std::size_t{8}
                                              << 20; ///< of a prompt's pages that are under way

using connect_due = caf::atom_constant<caf::atom("connectdue")>;
using worker_tick = caf::atom_constant<caf::atom("workertick")>;
using flush_due = caf::atom_constant<caf::atom("flushdue")>;
using drain_order = caf::atom_constant<caf::atom("drain")>;
using hand_over_order = caf::atom_constant<caf::atom("handover")>;

struct prefill {
  request_id id = 0;
  std::weak_ptr<page_shipment> shipment;
  int n_pages = 0; ///< still to come
};

struct agent_state {
  agent_state() = default;
  ~agent_state() { end_prefills(); }
  agent_state(const agent_state&) = delete;
  agent_state& operator=(const agent_state&) = delete;

  cluster_config config;
  worker_profile profile;
  serving_system* service = nullptr;
  std::shared_ptr<std::atomic<int>> n_streams;

  called_peer router{std::chrono::seconds{2}};
  bool is_draining = false;

  request_id n_ids = 0;
  struct stream {
    request_id id = 0;
    shared_deadline deadline;
  };
  std::unordered_map<attempt_id, stream> ids; ///< those under way
  std::unordered_map<request_id, attempt_id> attempts;
  /// Prompts that are computed for other workers. The shipment itself belongs to those who copy pages.
  std::map<attempt_id, prefill> prefills;
  std::unique_ptr<held_progress> held;
  int n_credits = 0;
  bool flushes = false; ///< a flush_due is on its way

  void count() const { n_streams->store(static_cast<int>(ids.size() + prefills.size())); }
  void end_prefill(attempt_id attempt) {
    const auto ended = prefills.extract(attempt);
    if (ended.empty())
      return;
    if (const auto shipment = ended.mapped().shipment.lock())
      shipment->close();
    service->cancel(ended.mapped().id);
    attempts.erase(ended.mapped().id);
  }
  void end_prefills() {
    while (!prefills.empty())
      end_prefill(prefills.begin()->first);
  }
  void forget_pages(attempt_id attempt) const {
    if (const auto& arrivals = service->pages().arrivals)
      arrivals->forget(attempt);
  }
};
using self_pointer = caf::stateful_actor<agent_state>*;

void end_all(agent_state& state) {
  for (const auto& [attempt, one] : state.ids)
    state.service->cancel(one.id);
  state.end_prefills();
  if (const auto& arrivals = state.service->pages().arrivals)
    arrivals->forget_all();
  state.ids.clear();
  state.attempts.clear();
  state.held->clear();
  state.count();
}

/// Whoever was the router has placed the streams elsewhere by now, or will.
void lose_router(self_pointer self, const std::string& why) {
  auto& state = compat::state_of(self);
  if (state.router.is_away())
    return;
  if (state.router.is_new_complaint(why))
    spdlog::warn("the router at {} is lost: {}; it is tried again", state.config.router, why);
  end_all(state);
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

void report_status(self_pointer self) {
  auto& state = compat::state_of(self);
  if (!state.router.is_registered())
    return;
  worker_status status;
  status.n_running = static_cast<int>(state.ids.size());
  status.is_draining = state.is_draining;
  if (const auto& journal = state.service->pages().journal) {
    auto changes = journal->take(max_told_pages);
    status.added = std::move(changes.added);
    status.removed = std::move(changes.removed);
  }
  compat::send(self, state.router.node(), std::move(status));
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
  state.n_credits = answer.n_credits;
  if (const auto& journal = state.service->pages().journal)
    journal->start_over();
  spdlog::info("working for the router at {}", state.config.router);
  report_status(self);
}

void flush(self_pointer self) {
  auto& state = compat::state_of(self);
  if (!state.router.is_registered() || state.held->empty() || state.n_credits <= 0)
    return;
  --state.n_credits;
  compat::send(self, state.router.node(), state.held->take());
}

void flush_soon(self_pointer self) {
  auto& state = compat::state_of(self);
  if (!std::exchange(state.flushes, true))
    self->delayed_send(self, gathering, flush_due::value);
}

void forget(agent_state& state, attempt_id attempt) {
  const auto found = state.ids.extract(attempt);
  if (found.empty())
    return;
  state.attempts.erase(found.mapped().id);
  state.forget_pages(attempt);
  state.count();
}

generation_sink sink_of(self_pointer self, request_id id) {
  return [weak = caf::actor_cast<caf::weak_actor_ptr>(self), id](generation_event event) {
    if (const auto strong = weak.lock())
      compat::anon_send(caf::actor_cast<caf::actor>(strong), local_event{id, std::move(event)});
  };
}

void start_stream(self_pointer self, const stream_order& order) {
  auto& state = compat::state_of(self);
  const auto id = routed_bit | ++state.n_ids;
  auto prepared = admitted_from(order, id, state.service->format(), compat::now(self));
  if (auto* failed = std::get_if<generation_failed>(&prepared)) {
    state.held->add(order.attempt, std::move(*failed));
    return flush_soon(self);
  }
  auto& request = std::get<admitted_request>(prepared);
  state.ids[order.attempt] = {id, request.deadline};
  state.attempts[id] = order.attempt;
  state.count();
  state.service->submit_prepared(std::move(request), sink_of(self, id));
}

void end_prefill(self_pointer self, attempt_id attempt, const std::string& why) {
  auto& state = compat::state_of(self);
  if (!state.prefills.contains(attempt))
    return;
  state.end_prefill(attempt);
  state.count();
  if (state.router.is_registered())
    compat::send(self, state.router.node(), prefill_ended{attempt, why});
}

page_shipment_ptr shipment_for(self_pointer self, const prefill_order& order, std::size_t page_bytes) {
  page_shipment_options options;
  options.first_page = order.first_page;
  options.max_pages = std::max<std::size_t>(1, shipment_window_bytes / page_bytes);
  options.patience = compat::state_of(self).config.dead_after;
  const auto tell = [weak = caf::actor_cast<caf::weak_actor_ptr>(self)](auto what) {
    if (const auto strong = weak.lock())
      compat::anon_send(caf::actor_cast<caf::actor>(strong), std::move(what));
  };
  return std::make_shared<page_shipment>(
      options,
      [tell, attempt = order.attempt](const named_page& page, page_bytes_ptr bytes) {
        tell(copied_page{attempt, page, std::move(bytes)});
      },
      [tell, attempt = order.attempt] { tell(shipment_over{attempt}); });
}

void start_prefill(self_pointer self, const prefill_order& order) {
  auto& state = compat::state_of(self);
  const auto& arrivals = state.service->pages().arrivals;
  if (!arrivals) {
    compat::send(self, state.router.node(),
                 prefill_ended{order.attempt, "it keeps no prefixes (kv.prefix_cache)"});
    return;
  }
  const auto id = routed_bit | ++state.n_ids;
  auto request = prefill_request(order, id, compat::now(self));
  request.ships_to = shipment_for(self, order, arrivals->page_bytes());
  const int n_whole = (static_cast<int>(order.prompt.size()) - 1) / page_tokens;
  state.prefills[order.attempt] = {id, request.ships_to, n_whole - order.first_page};
  state.attempts[id] = order.attempt;
  state.count();
  state.service->submit_prepared(std::move(request), sink_of(self, id));
}

/// The end of the request is not that of its pages, unless something was wrong.
void prefill_happened(self_pointer self, attempt_id attempt, const generation_event& event) {
  if (const auto* failed = std::get_if<generation_failed>(&event))
    return end_prefill(self, attempt, failed->message);
  if (const auto* end = std::get_if<generation_finished>(&event);
      end != nullptr && end->reason != finish_reason::length && end->reason != finish_reason::stop)
    end_prefill(self, attempt, std::string{"it was "} + to_string(end->reason));
}

void send_page(self_pointer self, const copied_page& copied) {
  auto& state = compat::state_of(self);
  const auto found = state.prefills.find(copied.attempt);
  if (found == state.prefills.end() || !state.router.is_registered())
    return;
  --found->second.n_pages;
  const auto text_of = [](const page_name& name) {
    return std::string{reinterpret_cast<const char*>(name.bytes.data()), name.bytes.size()};
  };
  const auto& arrivals = *state.service->pages().arrivals;
  shipped_page page;
  page.attempt = copied.attempt;
  page.format = text_of(arrivals.format_name());
  page.name = text_of(copied.page.name);
  page.bytes.assign(reinterpret_cast<const char*>(copied.bytes.get()), arrivals.page_bytes());
  page.checksum = arriving_pages::checksum_of(page.bytes);
  compat::send(self, state.router.node(), std::move(page));
}

page_name name_from(const std::string& text) {
  page_name name;
  std::copy_n(text.begin(), std::min(text.size(), name.bytes.size()), name.bytes.begin());
  return name;
}

void take_page(self_pointer self, const shipped_page& page) {
  auto& state = compat::state_of(self);
  const auto& arrivals = state.service->pages().arrivals;
  const auto why = arrivals ? arrivals->arrive(page.attempt, name_from(page.format), name_from(page.name),
                                               page.checksum, page.bytes)
                            : "it keeps no prefixes (kv.prefix_cache)";
  compat::send(self, state.router.node(), page_receipt{page.attempt, why.empty() ? 1 : 0, why});
}

void happened(self_pointer self, local_event& what) {
  auto& state = compat::state_of(self);
  const auto found = state.attempts.find(what.id);
  if (found == state.attempts.end()) // cancelled, or handed over
    return;
  const auto attempt = found->second;
  if (state.prefills.contains(attempt))
    return prefill_happened(self, attempt, what.event);
  const bool is_last = std::holds_alternative<generation_finished>(what.event) ||
                       std::holds_alternative<generation_failed>(what.event);
  state.held->add(attempt, std::move(what.event));
  if (is_last)
    forget(state, attempt);
  if (const auto most = state.held->beyond_bound()) {
    if (const auto id = state.ids.find(*most); id != state.ids.end()) {
      state.service->cancel(id->second.id);
      forget(state, *most);
    }
    state.held->hand_over(*most);
  }
  flush_soon(self);
}

void hand_over_all(self_pointer self) {
  auto& state = compat::state_of(self);
  if (!state.router.is_registered())
    return;
  // What was made goes before; whoever goes on does so behind it.
  auto batch = state.held->take();
  for (const auto& [attempt, one] : state.ids) {
    state.service->cancel(one.id);
    state.held->hand_over(attempt);
  }
  while (!state.prefills.empty())
    end_prefill(self, state.prefills.begin()->first, "it shuts down");
  auto endings = state.held->take();
  std::ranges::move(endings.streams, std::back_inserter(batch.streams));
  state.ids.clear();
  state.attempts.clear();
  state.count();
  compat::send(self, state.router.node(), std::move(batch));
}

/// Whether it comes from the router that this worker works for.
bool is_from_router(self_pointer self) {
  auto& state = compat::state_of(self);
  state.router.hear(compat::now(self));
  return state.router.is_registered();
}

caf::behavior agent(self_pointer self, const cluster_config& config, const worker_profile& profile,
                    serving_system* service, std::shared_ptr<std::atomic<int>> n_streams) {
  auto& state = compat::state_of(self);
  state.config = config;
  state.profile = profile;
  state.service = service;
  state.n_streams = std::move(n_streams);
  state.held = std::make_unique<held_progress>(config.max_held_tokens);
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
      [self](const stream_order& order) {
        if (is_from_router(self))
          start_stream(self, order);
      },
      [self](const prefill_order& order) {
        if (is_from_router(self))
          start_prefill(self, order);
      },
      [self](const copied_page& copied) { send_page(self, copied); },
      [self](shipment_over over) {
        const auto& prefills = compat::state_of(self).prefills;
        if (const auto found = prefills.find(over.attempt); found != prefills.end())
          end_prefill(self, over.attempt, found->second.n_pages <= 0 ? "" : "not all pages could be shipped");
      },
      [self](const shipped_page& page) {
        if (is_from_router(self))
          take_page(self, page);
      },
      [self](const page_receipt& receipt) {
        const auto& prefills = compat::state_of(self).prefills;
        const auto found = prefills.find(receipt.attempt);
        if (const auto shipment = found == prefills.end() ? nullptr : found->second.shipment.lock())
          shipment->received(static_cast<std::size_t>(std::max(0, receipt.n_pages)));
      },
      [self](const stream_cancel& cancelled) {
        auto& state = compat::state_of(self);
        if (const auto found = state.ids.find(cancelled.attempt); found != state.ids.end())
          state.service->cancel(found->second.id);
        state.held->drop(cancelled.attempt);
        forget(state, cancelled.attempt);
        state.end_prefill(cancelled.attempt);
        state.forget_pages(cancelled.attempt);
        state.count();
      },
      [self](const stream_change& changed) {
        auto& state = compat::state_of(self);
        if (const auto found = state.ids.find(changed.attempt); found != state.ids.end())
          state.service->change(found->second.id, changed.change);
      },
      [self](const stream_postponement& later) {
        auto& state = compat::state_of(self);
        if (const auto found = state.ids.find(later.attempt); found != state.ids.end())
          found->second.deadline.postpone(compat::now(self) + std::chrono::milliseconds{later.time_left_ms});
      },
      [self](const batch_credit& more) {
        if (!is_from_router(self))
          return;
        compat::state_of(self).n_credits += more.n;
        if (more.n > 0)
          flush(self);
      },
      [self](orders_void) { end_all(compat::state_of(self)); },
      [self](local_event& what) { happened(self, what); },
      [self](flush_due) {
        compat::state_of(self).flushes = false;
        flush(self);
      },
      [self](worker_tick) {
        auto& state = compat::state_of(self);
        if (state.router.is_silent(compat::now(self), state.config.dead_after))
          lose_router(self, "nothing was heard of it for " + std::to_string(state.config.dead_after.count()) +
                                " ms");
        report_status(self);
        self->delayed_send(self, state.config.heartbeat, worker_tick::value);
      },
      [self](drain_order) {
        compat::state_of(self).is_draining = true;
        report_status(self);
      },
      [self](hand_over_order) { hand_over_all(self); },
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
