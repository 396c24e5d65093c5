// The whole ensemble under CAF's testing scheduler: the test says which actor handles its next message, what
// time it is, when a client comes or leaves and who dies. Nothing runs by itself, so a play can be repeated.
#pragma once

#include "actors/behaviors.hpp"
#include "engine/kv/file_tier.hpp"
#include "tests/actors/answer_recorder.hpp"
#include "tests/actors/fake_embedder.hpp"
#include "tests/actors/fake_model.hpp"
#include "tests/actors/fake_store.hpp"
#include "tests/actors/fake_text.hpp"
#include "tests/actors/testing_config.hpp"
#include "tests/engine/scratch_folder.hpp"

#include <caf/scheduler/test_coordinator.hpp>
#include <rapidcheck.h>

#include <algorithm>
#include <deque>
#include <sstream>
#include <string>

namespace souffleur::testing {

inline generation_request request_of(request_id id, unsigned a, unsigned b) {
  if (b % 2 == 0) { // so that many are the same
    a %= 4;
    b %= 4;
  }
  generation_request request;
  request.id = id;
  request.tenant = a % 2 == 0 ? "a" : "b";
  request.prompt = text_prompt{std::string("the souffleur whispers every line").substr(0, 1 + a % 33)};
  request.sampling.temperature = b % 3 == 0 ? 0 : 1;
  request.sampling.max_tokens = 1 + static_cast<int>(b % 20);
  request.sampling.seed = b % 4;
  request.max_tokens_given = true;
  request.seed_given = true;
  return request;
}

inline std::vector<token_id> expected_tokens(const generation_request& request) {
  auto prompt = fake_tokenizer{}.encode(std::get<text_prompt>(request.prompt).text, true);
  prompt.insert(prompt.begin(), fake_bos);
  auto tokens = expected_output(prompt, request.sampling);
  if (!tokens.empty() && tokens.back() == fake_end)
    tokens.pop_back();
  return tokens;
}

struct client {
  generation_request request;
  std::shared_ptr<answer_recorder> recorder = std::make_shared<answer_recorder>();
  bool cancelled = false;
  std::vector<token_id> expected{}; ///< of its whole answer
  std::size_t n_checked = 0;        ///< tokens that were what they had to be
  std::size_t n_read = 0;           ///< of the tokens, if it is slow
  bool is_slow = false;
  bool is_poisoned = false;
  steady_time submitted{};
  std::optional<steady_time> seen_to_end{};
  int n_deaths_before = 0; ///< of those that take requests with them
};

/// The state of an actor, which nobody else sees. Null: it has not begun, or is over.
template <class State, class Handle>
State* state_in(const Handle& handle) {
  auto* actor = caf::actor_cast<caf::abstract_actor*>(handle);
  auto* self = dynamic_cast<typename Handle::template stateful_pointer<State>>(actor);
  return self == nullptr || self->getf(caf::abstract_actor::is_terminated_flag) ? nullptr
                                                                                : &compat::state_of(self);
}

/// Ends everything before the actor system goes, which waits for its actors.
class stage {
public:
  explicit stage(const serving_config& config)
      : config_(config), model_(std::make_shared<fake_model>(config.n_kv_pages)),
        metrics_(std::make_shared<serving_metrics>(config.model_name)) {
    model_->is_poison = begins_with_poison;
    if (config.tier_folder != "off")
      tier_ = *file_tier::open(
          {folder_.path(), config.tier_max_bytes, model_->page_format(), model_->page_bytes()});
    ensemble parts;
    parts.config = config;
    parts.model = model_;
    parts.format = {std::make_shared<fake_tokenizer>(), std::make_shared<fake_chat_template>(), "fake", 4096};
    parts.metrics = metrics_;
    parts.vitals = vitals_;
    parts.unix_now = [this] { return unix_now_; };
    if (config.has_draft_model)
      parts.draft_model = {draft_model_, fake_vocabulary, {fake_end}};
    parts.tier = tier_;
    if (make_cache_policy(config.cache_policy)->mode() == cache_mode::semantic)
      parts.embedder = std::make_shared<fake_embedder>();
    parts.store = store_;
    parts.credits = credits_;
    parts.detached = false;
    parts.give_up = [this](const std::string&) { ++n_given_up_; };
    supervisor_ = system_.spawn(supervisor, std::move(parts));
  }

  ~stage() {
    come_back();
    compat::anon_send(supervisor_, shutdown_order{});
    supervisor_ = nullptr;
    while (scheduler_.run() + scheduler_.trigger_timeouts() > 0) {
    }
  }

  client& submit(generation_request request) {
    auto& who = clients_.emplace_back();
    who.request = std::move(request);
    who.expected = expected_tokens(who.request);
    who.submitted = now();
    who.n_deaths_before = n_settled_deaths_;
    credits_->take(who.request.tenant);
    compat::anon_send(supervisor_, submission{std::make_shared<generation_request>(who.request),
                                              std::make_shared<reply_handle>(sink_of(who.recorder), credits_,
                                                                             who.request.tenant)});
    return who;
  }
  client& submit(unsigned a, unsigned b) { return submit(request_of(next_id(), a, b)); }
  void submit_prepared(admitted_request request, const std::shared_ptr<answer_recorder>& recorder) {
    request.reply = std::make_shared<reply_handle>(sink_of(recorder), nullptr, request.tenant);
    request.reply->accepted({static_cast<int>(request.prompt.size()), request.sampling->seed});
    compat::anon_send(supervisor_,
                      admission_ptr{std::make_shared<const admitted_request>(std::move(request))});
  }
  request_id next_id() const { return clients_.size() + 1; }

  client& submit_and_step(unsigned a, unsigned b, int n_steps) {
    auto& who = submit(a, b);
    for (int i = 0; i < n_steps; ++i)
      step();
    return who;
  }

  void cancel(client& who) {
    who.cancelled = true;
    compat::anon_send(supervisor_, cancellation{who.request.id});
  }

  void kill(const std::string& actor) {
    compat::anon_send(supervisor_, kill_order{actor});
    n_fatal_deaths_ += actor == "scheduler" || actor == "intake" ? 1 : 0;
  }

  /// Whoever could run next gets no turn for so many steps in which somebody else can.
  void hold_up(unsigned choice, int n_steps) {
    if (!scheduler_.has_job())
      return;
    held_up_ = scheduler_.jobs[choice % scheduler_.jobs.size()];
    n_held_up_ = n_steps;
  }

  /// A part gets no turn any more until its successor is there: it hangs.
  template <class Handle>
  void hang(Handle peers::*part) {
    come_back();
    if (const auto* supervisor = state_in<supervisor_state>(supervisor_))
      hanging_ = caf::actor_cast<caf::strong_actor_ptr>(supervisor->to.*part);
  }

  /// Whoever hangs goes on.
  void come_back() {
    if (std::exchange(has_job_aside_, false))
      scheduler_.jobs.push_back(job_of(hanging_));
    hanging_ = nullptr;
  }

  /// One runnable actor handles one message. Time passes only if nobody can run. False if nothing is left.
  bool step(unsigned choice = 0) {
    set_aside_who_hangs();
    if (!scheduler_.has_job()) {
      if (health().parts_down.empty())
        n_settled_deaths_ = n_fatal_deaths_;
      return scheduler_.trigger_timeout();
    }
    auto& jobs = scheduler_.jobs;
    std::rotate(jobs.begin(), jobs.begin() + static_cast<std::ptrdiff_t>(choice % jobs.size()), jobs.end());
    if (n_held_up_ > 0 && jobs.size() > 1 && jobs.front() == held_up_) {
      --n_held_up_;
      std::rotate(jobs.begin(), jobs.begin() + 1, jobs.end());
    }
    scheduler_.run_once();
    return true;
  }

  void timeout() { scheduler_.trigger_timeout(); }
  void pass(std::chrono::milliseconds time) { scheduler_.advance_time(time); }
  void set_wall_clock(std::int64_t by_s) { unix_now_ += by_s; }
  steady_time now() const { return system_.clock().now(); }

  bool all_ended() const {
    return std::all_of(clients_.begin(), clients_.end(),
                       [](const client& who) { return who.recorder->ended(); });
  }

  /// Until every client has its end. The bound is far beyond what honest work takes.
  template <class Check>
  void run_until_ended(Check check) {
    for (int i = 0; i < 20'000 && !all_ended(); ++i) {
      if (!step())
        break;
      check();
    }
    RC_ASSERT(all_ended());
  }
  void run_until_ended() {
    run_until_ended([] {});
  }

  /// Until nobody has a message.
  void run_until_idle() { scheduler_.run(); }
  /// Besides, until nobody is dead.
  void run_until_settled() {
    for (run_until_idle(); !health().parts_down.empty(); run_until_idle())
      timeout();
  }

  /// Empty, or what is wrong with the pages as the kv manager knows them now.
  std::string page_complaint() const {
    const auto* kv = pages();
    if (kv == nullptr)
      return "";
    if (auto broken = kv->check_integrity(); !broken.empty())
      return broken;
    const auto all = kv->occupancy();
    return all.n_free + all.n_cached + all.n_pinned + all.n_owned == all.n_total ? "" : "pages are missing";
  }
  /// REQUIRES: the kv manager lives.
  kv_occupancy occupancy() const { return pages()->occupancy(); }

  double metric(const std::string& name, const std::string& label) const {
    std::istringstream lines{metrics_->text()};
    for (std::string line; std::getline(lines, line);)
      if (line.starts_with(name + "{") && line.find(label) != std::string::npos)
        return std::stod(line.substr(line.rfind(' ') + 1));
    return -1;
  }

  std::deque<client>& clients() { return clients_; }
  const std::deque<client>& clients() const { return clients_; }
  void break_store(bool is_broken) { store_->is_broken = is_broken; }
  fake_model& model() { return *model_; }
  fake_model& draft_model() { return *draft_model_; }
  const serving_config& config() const { return config_; }
  int in_flight() const { return credits_->in_flight(); }
  service_health health() const { return vitals_->health(now()); }
  std::uint64_t n_tier_hits() const { return tier_->counters().n_hit_pages; }
  int n_given_up() const { return n_given_up_; }
  int n_fatal_deaths() const { return n_fatal_deaths_; }

private:
  /// Null: there is none at the moment.
  const kv_manager* pages() const {
    const auto* supervisor = state_in<supervisor_state>(supervisor_);
    const auto* kv = supervisor && supervisor->to.kv ? state_in<kv_state>(supervisor->to.kv) : nullptr;
    return kv ? kv->kv.get() : nullptr;
  }

  /// If it has been given up, it may look into its mailbox.
  void set_aside_who_hangs() {
    if (!hanging_)
      return;
    has_job_aside_ |= std::erase(scheduler_.jobs, job_of(hanging_)) > 0;
    const auto* supervisor = state_in<supervisor_state>(supervisor_);
    if (supervisor == nullptr || supervisor->given_up.contains(hanging_->id()))
      come_back();
  }
  static caf::resumable* job_of(const caf::strong_actor_ptr& who) {
    return dynamic_cast<caf::resumable*>(caf::actor_cast<caf::abstract_actor*>(who));
  }

  serving_config config_;
  scratch_folder folder_;
  std::shared_ptr<fake_model> model_;
  std::shared_ptr<fake_model> draft_model_ = std::make_shared<fake_model>(12);
  std::shared_ptr<file_tier> tier_; ///< null: off
  std::shared_ptr<fake_store> store_ = std::make_shared<fake_store>();
  std::shared_ptr<serving_metrics> metrics_;
  std::shared_ptr<vital_signs> vitals_ = std::make_shared<vital_signs>(std::chrono::seconds{1});
  std::shared_ptr<admission_credits> credits_ = std::make_shared<admission_credits>(1 << 20);
  std::int64_t unix_now_ = 1'000'000'000;
  std::deque<client> clients_;
  int n_given_up_ = 0;
  int n_fatal_deaths_ = 0;                  ///< that were ordered
  int n_settled_deaths_ = 0;                ///< of them, those that are over
  const caf::resumable* held_up_ = nullptr; ///< compared, never used
  int n_held_up_ = 0;
  caf::strong_actor_ptr hanging_; ///< null: nobody
  bool has_job_aside_ = false;    ///< that one is runnable
  testing_config caf_config_;
  mutable caf::actor_system system_{caf_config_};
  caf::scheduler::test_coordinator& scheduler_ =
      dynamic_cast<caf::scheduler::test_coordinator&>(system_.scheduler());
  supervisor_actor supervisor_;
};

} // namespace souffleur::testing
