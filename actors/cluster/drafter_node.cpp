#include "actors/cluster/drafter_node.hpp"

#include "actors/behaviors.hpp"
#include "actors/cluster/drafter_gate.hpp"
#include "actors/hosted_serving.hpp"
#include "engine/step_times.hpp"

#include <atomic>

namespace souffleur {

namespace {

constexpr std::chrono::seconds longest_drafting{120};

struct desk_configuration : caf::actor_system_config {
  desk_configuration() { set_serving_defaults(*this); }
};

/// The draft model's actor, the same that a server has for its own, in a system that no connection reaches.
class model_desk final : public drafting_desk {
public:
  explicit model_desk(drafter_parts parts) : parts_(std::move(parts)) {}
  ~model_desk() override {
    close();
    system_.await_all_actors_done();
  }

  bool open(int n_shared_vocabulary, bool races) override {
    if (*n_open_ > 0)
      return false;
    const auto ends = parts_.vocabulary->end_tokens();
    actor_ = system_.spawn<caf::detached>(
        draft_model, draft_model_parts{parts_.model, n_shared_vocabulary, {ends.begin(), ends.end()}},
        parts_.eviction, races ? draft_draw::gumbel : draft_draw::coupled, parts_.drafts_ahead);
    ++*n_open_;
    actor_->attach_functor([n_open = n_open_](const caf::error&) { --*n_open; });
    return true;
  }
  void close() override {
    if (actor_)
      compat::urgent_exit(actor_, caf::exit_reason::user_shutdown);
    actor_ = nullptr;
  }
  void draft(draft_demand demand, offer_sink done) override {
    system_.spawn([model = actor_, done = std::move(done),
                   demand = draft_demand_ptr{std::make_shared<const draft_demand>(std::move(demand))}](
                      caf::event_based_actor* asker) {
      compat::request(asker, model, longest_drafting, demand)
          .then(
              [asker, done](const draft_offer_ptr& offer) {
                done(offer);
                asker->quit();
              },
              [asker, done](const caf::error&) {
                done(nullptr);
                asker->quit();
              });
    });
  }

private:
  drafter_parts parts_;
  std::shared_ptr<std::atomic<int>> n_open_ = std::make_shared<std::atomic<int>>(0);
  desk_configuration configuration_;
  caf::actor_system system_{configuration_};
  drafter_actor actor_; ///< null: it is closed; must go before the system
};

class caf_drafter_node final : public drafter_node {
public:
  caf_drafter_node(const cluster_config& config, const drafter_parts& parts)
      : desk_(std::make_shared<model_desk>(parts)), node_(config) {
    gate_ = node_.system.spawn(
        drafter_gate, config,
        drafter_profile{parts.model_name, parts.vocabulary, measure_steps(*parts.model)}, desk_);
    port_ = publish(node_.system, gate_, config);
  }
  ~caf_drafter_node() override {
    caf::anon_send_exit(gate_, caf::exit_reason::user_shutdown);
    caf::scoped_actor waiting{node_.system};
    waiting->wait_for(gate_);
    gate_ = nullptr;
  }

  std::uint16_t port() const override { return *port_; }
  const result<std::uint16_t>& bound() const { return port_; }

private:
  std::shared_ptr<drafting_desk> desk_;
  node_system node_;
  caf::actor gate_; ///< must go before the system
  result<std::uint16_t> port_ = std::uint16_t{0};
};

} // namespace

result<std::unique_ptr<drafter_node>> drafter_node::start(const cluster_config& config, drafter_parts parts) {
  auto node = std::make_unique<caf_drafter_node>(config, parts);
  if (!node->bound())
    return failure{node->bound().error()};
  return std::unique_ptr<drafter_node>{std::move(node)};
}

} // namespace souffleur
