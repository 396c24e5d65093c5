// Workers of a router that are all in one test: what they compute, what is on its way to them and from them,
// and who of them dies is the test's choice.
#pragma once

#include "actors/cluster/held_progress.hpp"
#include "actors/cluster/worker_network.hpp"
#include "tests/actors/fake_model.hpp"
#include "tests/actors/fake_text.hpp"

#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace souffleur::testing {

/// Says what the fake model says. A token's text is shown with the next token only, the last one's at the
/// end.
class fake_worker {
public:
  explicit fake_worker(int n_credits, std::string serves = "both")
      : serves_(std::move(serves)), n_credits_(n_credits) {}

  std::deque<router_message> inbox;
  std::deque<worker_message> outbox;
  std::string breach; ///< of what a router may order
  bool is_draining = false;
  bool refuses_pages = false;
  int n_pages = 0; ///< that came from other workers

  void handle(const router_message& message) {
    if (const auto* order = std::get_if<stream_order>(&message))
      begin(*order);
    else if (const auto* cancelled = std::get_if<stream_cancel>(&message)) {
      streams_.erase(cancelled->attempt);
      held_.drop(cancelled->attempt);
      prefills_.erase(cancelled->attempt);
    } else if (const auto* credit = std::get_if<batch_credit>(&message))
      n_credits_ += credit->n;
    else if (std::holds_alternative<orders_void>(message)) {
      streams_.clear();
      held_.clear();
      prefills_.clear();
    } else if (const auto* prompt = std::get_if<prefill_order>(&message))
      begin_prefill(*prompt);
    else if (const auto* page = std::get_if<shipped_page>(&message))
      take(*page);
  }

  /// A page of one of the prompts goes out, or the news that all have; `fails`: that no more will.
  void compute_prompt(unsigned which, bool fails) {
    if (prefills_.empty())
      return;
    const auto at = std::next(prefills_.begin(), static_cast<std::ptrdiff_t>(which % prefills_.size()));
    if (!fails && at->second-- > 0) {
      outbox.emplace_back(shipped_page{at->first, "format", "name", 0, "bytes"});
      return;
    }
    outbox.emplace_back(prefill_ended{at->first, fails ? "it fails" : ""});
    prefills_.erase(at);
  }

  /// One of the streams gets `n_tokens` more tokens, or its end.
  void compute(unsigned which, int n_tokens) {
    if (streams_.empty())
      return;
    const auto at = std::next(streams_.begin(), static_cast<std::ptrdiff_t>(which % streams_.size()));
    auto& one = at->second;
    generation_delta delta;
    delta.step = step_trace{n_tokens, n_tokens - 1, n_tokens - 1, token_origin::suffix, 1};
    for (int i = 0; i < n_tokens && one.n_said < one.answer.size() && one.answer[one.n_said] != fake_end;
         ++i) {
      generated_token token;
      token.id = one.answer[one.n_said++];
      token.text = std::exchange(one.unshown, std::string{fake_tokenizer{}.piece(token.id)});
      delta.tokens.push_back(std::move(token));
    }
    const bool is_over = one.n_said == one.answer.size() || one.answer[one.n_said] == fake_end;
    if (is_over)
      delta.tail = one.unshown;
    held_.add(at->first, std::move(delta));
    if (is_over) {
      endings_.push_back(
          {at->first,
           {one.n_said == one.answer.size() ? finish_reason::length : finish_reason::stop, "", {}}});
      endings_.back().second.usage.n_output_tokens = static_cast<int>(one.n_said);
      streams_.erase(at);
    }
  }
  /// The ends of streams that are complete: they may travel in another batch than the last tokens.
  void tell_endings() {
    for (auto& [attempt, end] : std::exchange(endings_, {}))
      held_.add(attempt, end);
  }
  void flush() {
    if (n_credits_ <= 0 || held_.empty())
      return;
    --n_credits_;
    outbox.emplace_back(held_.take());
  }
  void hand_over(unsigned which) {
    if (streams_.empty())
      return;
    const auto at = std::next(streams_.begin(), static_cast<std::ptrdiff_t>(which % streams_.size()));
    held_.hand_over(at->first);
    streams_.erase(at);
  }
  bool is_idle() const {
    return streams_.empty() && prefills_.empty() && endings_.empty() && held_.empty() && inbox.empty() &&
           outbox.empty();
  }
  bool has_streams() const { return !streams_.empty(); }
  int n_credits() const { return n_credits_; }
  const std::string& serves() const { return serves_; }

private:
  struct stream {
    std::vector<token_id> answer; ///< the whole one
    std::size_t n_said = 0;
    std::string unshown;
  };

  void begin(const stream_order& order) {
    stream one;
    one.answer = expected_output(order.prompt, order.sampling);
    one.n_said = order.delivered.size();
    if (one.n_said > one.answer.size() ||
        !std::equal(order.delivered.begin(), order.delivered.end(), one.answer.begin()))
      breach = "it is to go on behind what is no beginning of the answer";
    else if (one.n_said > 0)
      one.unshown = fake_tokenizer{}.piece(order.delivered.back());
    if (!streams_.emplace(order.attempt, std::move(one)).second)
      breach = "an attempt was ordered twice";
  }

  void begin_prefill(const prefill_order& order) {
    if (serves_ != "prefill")
      breach = "a worker that does not serve prefill is to compute for another";
    const int n_whole = (static_cast<int>(order.prompt.size()) - 1) / page_tokens;
    if (order.first_page < 0 || order.first_page * page_tokens >= static_cast<int>(order.prompt.size()))
      breach = "a prompt is to be computed of which all is there";
    if (!prefills_.emplace(order.attempt, std::max(0, n_whole - order.first_page)).second)
      breach = "a prompt was ordered twice";
  }
  void take(const shipped_page& page) {
    if (serves_ != "decode")
      breach = "a worker that computes its prompts itself is sent pages";
    if (streams_.contains(page.attempt))
      breach = "a page comes after its stream";
    n_pages += refuses_pages ? 0 : 1;
    outbox.emplace_back(page_receipt{page.attempt, refuses_pages ? 0 : 1, refuses_pages ? "no room" : ""});
  }

  std::string serves_;
  int n_credits_;
  held_progress held_{1 << 20};
  std::map<attempt_id, int> prefills_; ///< pages that are still to go out
  std::map<attempt_id, stream> streams_;
  std::vector<std::pair<attempt_id, generation_finished>> endings_;
};

class fake_network : public worker_network {
public:
  explicit fake_network(int n_credits) : n_credits_(n_credits) {}

  void listen(worker_listener listener) override {
    listener_ = std::move(listener);
    for (auto& [id, one] : workers) {
      one.inbox.emplace_back(orders_void{});
      tell(id, worker_joined{profile(one.serves())});
    }
  }
  void send(worker_id worker, router_message message) override {
    if (const auto found = workers.find(worker); found != workers.end())
      found->second.inbox.push_back(std::move(message));
  }

  worker_id join(const std::string& serves = "both", const std::string& computes = "") {
    const auto id = ++n_joined_;
    workers.emplace(id, fake_worker{n_credits_, serves});
    tell(id, worker_joined{profile(serves, computes)});
    return id;
  }
  /// With so many of the messages that were under way.
  void kill(worker_id id, std::size_t n_arrive) {
    const auto found = workers.find(id);
    for (std::size_t i = 0; i < n_arrive && !found->second.outbox.empty(); ++i)
      deliver(id);
    late_ = {id, std::move(found->second.outbox)};
    breach += found->second.breach;
    workers.erase(found);
    tell(id, worker_left{"killed"});
  }
  void deliver(worker_id id) {
    auto& from = workers.at(id).outbox;
    if (from.empty())
      return;
    auto message = std::move(from.front());
    from.pop_front();
    std::visit([&](auto& what) { tell(id, std::move(what)); }, message);
  }
  /// What a dead worker had sent comes after the news of its death.
  void deliver_late() {
    for (auto& message : std::exchange(late_.second, {}))
      std::visit([&](auto& what) { tell(late_.first, std::move(what)); }, message);
  }

  std::map<worker_id, fake_worker> workers;
  std::string breach;

private:
  static worker_profile profile(const std::string& serves, const std::string& computes = "") {
    worker_profile made;
    made.serves = serves;
    made.computes = computes;
    made.n_kv_tokens = 64 * page_tokens;
    return made;
  }
  template <class What>
  void tell(worker_id id, What what) {
    if (listener_)
      listener_({id, std::move(what)});
  }

  int n_credits_;
  worker_id n_joined_ = 0;
  worker_listener listener_;
  std::pair<worker_id, std::deque<worker_message>> late_;
};

} // namespace souffleur::testing
