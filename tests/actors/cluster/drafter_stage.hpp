// A server's side and a drafter's side of a link, and what is between them, under CAF's testing scheduler.
// The test says when the drafter computes, who dies, and what is lost on the way.
#pragma once

#include "actors/cluster/drafter_caller.hpp"
#include "actors/cluster/drafter_gate.hpp"
#include "actors/cluster/remote_draft_model.hpp"
#include "actors/draft_step.hpp"
#include "engine/drafting/shared_vocabulary.hpp"
#include "tests/actors/fake_model.hpp"
#include "tests/actors/fake_text.hpp"

#include <caf/scheduler/test_coordinator.hpp>

#include <deque>
#include <utility>

namespace souffleur::testing {

class fresh_drafter : public model_drafter {
public:
  explicit fresh_drafter(int n_shared = fake_vocabulary)
      : model_drafter(std::make_shared<fake_model>(32), n_shared, {fake_end}, make_eviction_policy("lru")) {}
};

/// Computes when it is asked to, or at once.
class fake_desk final : public drafting_desk {
public:
  bool is_slow = false;
  bool is_broken = false;
  bool is_busy = false; ///< with what was closed
  int n_opened = 0;
  int n_shared = 0;
  std::unique_ptr<model_drafter> model; ///< null: it is closed

  bool open(int n_shared_vocabulary, bool) override {
    if (is_busy || model)
      return false;
    ++n_opened;
    model = std::make_unique<fresh_drafter>(n_shared = n_shared_vocabulary);
    return true;
  }
  void close() override { model.reset(); }
  void draft(draft_demand demand, offer_sink done) override {
    waiting_.emplace_back(std::move(demand), std::move(done));
    if (!is_slow)
      compute();
  }
  /// What was ordered so far.
  void compute() {
    for (auto& [demand, done] : std::exchange(waiting_, {})) {
      if (is_broken || !model) {
        done(nullptr);
        continue;
      }
      auto offer = std::make_shared<draft_offer>(carry_out(demand, *model));
      offer->pass = {1, 100};
      done(offer);
    }
  }

private:
  std::deque<std::pair<draft_demand, offer_sink>> waiting_;
};

struct relay_state {
  caf::actor ends[2]; ///< caller, gate
};
/// A connection: what one end says reaches the other as long as the line is up. Where it ends, both see it
/// go.
inline caf::behavior relay(caf::stateful_actor<relay_state>* self, const caf::actor& gate,
                           std::shared_ptr<bool> is_up) {
  self->state.ends[1] = gate;
  self->monitor(gate);
  self->set_down_handler([self](const caf::down_msg&) { self->quit(); });
  self->set_default_handler(
      [is_up](caf::scheduled_actor* base, caf::message_view& what) -> caf::result<caf::message> {
        auto* self = static_cast<caf::stateful_actor<relay_state>*>(base);
        const bool from_gate = self->current_sender() == self->state.ends[1];
        if (!from_gate)
          self->state.ends[0] = caf::actor_cast<caf::actor>(self->current_sender());
        if (*is_up)
          self->send(self->state.ends[from_gate ? 0 : 1], what.move_content_to_message());
        return caf::message{};
      });
  return {[](relay_state*) {}};
}

/// A tokenizer in which one token means something else.
class other_tokenizer : public fake_tokenizer {
public:
  std::string_view piece(token_id token) const override {
    return token == 7 ? "?" : fake_tokenizer::piece(token);
  }
};
class longer_tokenizer : public fake_tokenizer {
public:
  std::string_view piece(token_id token) const override {
    return token < fake_vocabulary ? fake_tokenizer::piece(token) : "padding";
  }
  int vocabulary_size() const override { return fake_vocabulary + 5; }
};

struct drafter_testing_config : caf::actor_system_config {
  drafter_testing_config() { set("scheduler.policy", caf::atom("testing")); }
};

class drafter_stage {
public:
  drafter_stage() {
    config.secret = "of this test";
    config.heartbeat = std::chrono::milliseconds{500};
    config.dead_after = std::chrono::milliseconds{5000};
  }
  ~drafter_stage() {
    desk->is_slow = false;
    desk->compute();
    end_drafter();
    for (auto& one : servers)
      one->end();
    caf::anon_send_exit(exchange_, caf::exit_reason::kill);
    exchange_ = nullptr;
    while (scheduler_.run() + scheduler_.trigger_timeouts() > 0) {
    }
  }

  void start_drafter(std::shared_ptr<const tokenizer> vocabulary = std::make_shared<fake_tokenizer>()) {
    desk = std::make_shared<fake_desk>();
    gate_ = system_.spawn(drafter_gate, config,
                          drafter_profile{"small", std::move(vocabulary), {{1, 50}, {8, 90}}}, desk);
    scheduler_.run();
  }
  /// From nobody who could be answered.
  template <class Message>
  void whisper(Message message) {
    compat::anon_send(gate_, std::move(message));
    scheduler_.run();
  }
  /// What a server that shows `proof`, whatever the challenge is, hears of it.
  std::string answer_to_proof(const std::string& proof) {
    auto why = std::make_shared<std::string>("nothing");
    auto stranger = system_.spawn([why, proof, gate = gate_](caf::event_based_actor* self) -> caf::behavior {
      self->send(gate, drafter_hello{drafter_protocol, "nonce"});
      return {[self, gate, proof](const drafter_challenge&) {
                self->send(gate,
                           drafter_proof{proof,
                                         {"large", fake_vocabulary,
                                          vocabulary_fingerprint(fake_tokenizer{}, fake_vocabulary), false}});
              },
              [why](const drafter_registration& answer) { *why = answer.why; }};
    });
    scheduler_.run();
    caf::anon_send_exit(stranger, caf::exit_reason::kill);
    scheduler_.run();
    return *why;
  }
  /// As kill -9: its connections break.
  void end_drafter() {
    if (gate_)
      caf::anon_send_exit(gate_, caf::exit_reason::kill);
    gate_ = nullptr;
    scheduler_.run();
  }

  /// A server's proxy, with a link of its own.
  class server final : public drafter_link, public std::enable_shared_from_this<server> {
  public:
    server(drafter_stage& stage, std::string secret) : stage_(stage) {
      auto config = stage.config;
      config.secret = std::move(secret);
      caller_ = stage.system_.spawn(drafter_caller, config, std::string{"far.example:1"},
                                    drafted_model{"large", std::make_shared<fake_tokenizer>(), false}, board_,
                                    caf::actor_cast<caf::io::middleman_actor>(stage.exchange_));
    }
    void start_proxy() {
      proxy =
          stage_.system_.spawn(remote_draft_model, std::static_pointer_cast<drafter_link>(shared_from_this()),
                               fake_vocabulary, metrics);
      stage_.scheduler_.run();
    }
    void end_proxy() {
      caf::anon_send_exit(proxy, caf::exit_reason::kill);
      proxy = nullptr;
      stage_.scheduler_.run();
    }
    void end() {
      board_->close();
      if (proxy)
        end_proxy();
      caf::anon_send_exit(caller_, caf::exit_reason::user_shutdown);
      caller_ = nullptr;
      stage_.scheduler_.run();
    }

    void listen(drafter_listener listener) override { board_->listen(std::move(listener)); }
    std::uint64_t send(draft_order order) override {
      const auto number = order.number = ++n_orders;
      compat::anon_send(caller_, outgoing_order{std::move(order)});
      return number;
    }
    bool has_drafter() const {
      return metrics->text().find("souffleur_remote_drafter{") != std::string::npos && is_one();
    }
    const drafter_caller_state& caller() const {
      return dynamic_cast<caf::stateful_actor<drafter_caller_state>*>(
                 caf::actor_cast<caf::abstract_actor*>(caller_))
          ->state;
    }

    remote_draft_model_actor proxy;
    std::uint64_t n_orders = 0;
    std::shared_ptr<serving_metrics> metrics = std::make_shared<serving_metrics>("large");

  private:
    bool is_one() const {
      const auto text = metrics->text();
      const auto at = text.find("souffleur_remote_drafter{");
      return text.substr(text.find(' ', at) + 1, 1) == "1";
    }
    drafter_stage& stage_;
    std::shared_ptr<drafter_board> board_ = std::make_shared<drafter_board>();
    caf::actor caller_;
  };
  server& start_server(const std::string& secret = "of this test") {
    servers.push_back(std::make_shared<server>(*this, secret));
    servers.back()->start_proxy();
    return *servers.back();
  }

  /// The line is silent, and nobody can call; connections stay.
  void cut(bool is_cut) { *is_up_ = !is_cut; }
  void run() { scheduler_.run(); }
  void pass(std::chrono::milliseconds time) {
    for (auto left = time; left.count() > 0; left -= std::chrono::milliseconds{100}) {
      scheduler_.advance_time(std::chrono::milliseconds{100});
      scheduler_.run();
    }
  }

  /// Nothing: the answer is not there yet.
  using answer = std::shared_ptr<std::optional<draft_offer>>;
  answer ask(const server& of, draft_demand demand) {
    auto got = std::make_shared<std::optional<draft_offer>>();
    system_.spawn([got, proxy = of.proxy,
                   demand = draft_demand_ptr{std::make_shared<const draft_demand>(std::move(demand))}](
                      caf::event_based_actor* asker) {
      compat::request(asker, proxy, std::chrono::seconds{36'000}, demand)
          .then(
              [asker, got](const draft_offer_ptr& offer) {
                *got = *offer;
                asker->quit();
              },
              [asker, got](const caf::error&) { // it died
                *got = draft_offer{};
                asker->quit();
              });
    });
    scheduler_.run();
    return got;
  }

  cluster_config config;
  std::shared_ptr<fake_desk> desk = std::make_shared<fake_desk>();
  std::deque<std::shared_ptr<server>> servers;
  int n_calls = 0;

private:
  std::shared_ptr<bool> is_up_ = std::make_shared<bool>(true);
  drafter_testing_config caf_config_;
  caf::actor_system system_{caf_config_};
  caf::scheduler::test_coordinator& scheduler_ =
      dynamic_cast<caf::scheduler::test_coordinator&>(system_.scheduler());
  caf::actor gate_;
  /// Connects, where a drafter is.
  caf::actor exchange_ = system_.spawn([this](caf::event_based_actor* self) -> caf::behavior {
    return {[this,
             self](caf::connect_atom, const std::string&,
                   std::uint16_t) -> caf::result<caf::node_id, caf::strong_actor_ptr, std::set<std::string>> {
      ++n_calls;
      if (!gate_ || !*is_up_)
        return caf::sec::cannot_connect_to_node;
      const auto line = self->spawn(relay, gate_, is_up_);
      return {caf::node_id{}, caf::actor_cast<caf::strong_actor_ptr>(line), std::set<std::string>{}};
    }};
  });
};

} // namespace souffleur::testing
