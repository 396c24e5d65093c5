#include "examples/cluster_simulator/cluster_simulation.hpp"

#include "examples/cluster_simulator/request_router.hpp"
#include "examples/cluster_simulator/shared_machine.hpp"
#include "examples/load/seeded_random.hpp"

#include <deque>
#include <optional>

namespace souffleur::cluster_simulation {

namespace {

constexpr nanoseconds ns_of_us(double us) { return static_cast<nanoseconds>(us * 1000); }
constexpr nanoseconds ns_of_s(double s) { return static_cast<nanoseconds>(s * 1e9); }

/// A dialogue under way.
struct held_dialogue {
  std::uint64_t number = 0;
  load::dialogue what;
  int n_open = 0; ///< turns that have not ended
};

struct live_request {
  std::shared_ptr<held_dialogue> of;
  int turn = 0;
  transcript said; ///< up to the question; with the answer, once it is known how long it is
  std::size_t n_prompt_marks = 0;
  request_router::placement place;
};

class simulation {
public:
  simulation(const cluster_settings& settings, const load::workload& what, const offered_load& load,
             const progress_report& progress)
      : settings_(settings), what_(what), load_(load), progress_(progress), costs_(settings.costs),
        router_(settings.routing_policy, settings.routing, settings.n_workers, settings.worker.n_kv_pages),
        to_router_(ns_of_us(settings.client_network_us + settings.costs.request_us)),
        to_client_(ns_of_us(settings.client_network_us)),
        to_worker_(settings.n_workers > 1 ? ns_of_us(settings.worker_network_us) : 0),
        chance_(settings.chance_seed, 1),
        machine_(settings.costs.crowding, static_cast<std::size_t>(settings.n_workers)) {
    all_.busy.resize(static_cast<std::size_t>(settings.n_workers));
    for (int i = 0; i < settings.n_workers; ++i)
      workers_.emplace_back(settings.worker);
  }

  cluster_outcome run() {
    if (load_.arrivals) {
      arrivals_ = load_.arrivals();
      expect_arrival();
    } else {
      for (int i = 0; i < load_.n_clients; ++i)
        begin_dialogue(0);
    }
    while (!events_.empty()) {
      const auto next = events_.pop();
      now_ = next.at;
      handle(next);
    }
    return outcome();
  }

private:
  void handle(const event& happened) {
    switch (happened.kind) {
    case event_kind::arrival:
      begin_dialogue(now_);
      return expect_arrival();
    case event_kind::request:
      return events_.push({now_ + to_router_, event_kind::routing, happened.id});
    case event_kind::routing:
      return route(happened.id);
    case event_kind::delivery:
      return deliver(happened.id);
    case event_kind::step_over:
      return finish_step(happened.id);
    case event_kind::first_token:
      return router_.saw_first_token(live(happened.id).place);
    case event_kind::end:
      return finish(happened.id);
    }
  }

  void expect_arrival() {
    if (n_begun_ >= load_.n_requests)
      return;
    if (const auto at = arrivals_->next())
      events_.push({ns_of_s(*at), event_kind::arrival, 0});
  }

  bool begin_dialogue(nanoseconds at) {
    if (n_begun_ >= load_.n_requests)
      return false;
    auto held = std::make_shared<held_dialogue>();
    held->number = n_dialogues_++;
    held->what = what_.at(held->number);
    held->n_open = static_cast<int>(held->what.turns.size());
    n_begun_ += held->n_open;
    ask_after(held, -1, transcript{settings_.measure, held->what.system}, at);
    return true;
  }

  /// The turns that follow turn `after`.
  void ask_after(const std::shared_ptr<held_dialogue>& held, int after, const transcript& said,
                 nanoseconds at) {
    for (std::size_t i = 0; i < held->what.turns.size(); ++i) {
      const auto& turn = held->what.turns[i];
      if (turn.after != after)
        continue;
      auto& request = live_.emplace_back(live_request{held, static_cast<int>(i), said, 0, {}});
      request->said.ask(turn.user);
      request->n_prompt_marks = request->said.marks().size();
      auto& record = all_.requests.emplace_back();
      record.intended = at + ns_of_s(turn.think_s);
      record.n_prompt_tokens = request->said.n_tokens();
      record.dialogue = held->number;
      record.turn = static_cast<int>(i);
      const auto name = settings_.equal_answers ? 0 : (held->number << 8U) ^ i;
      request->said.answer(name, load_.n_output_tokens);
      events_.push({record.intended, event_kind::request, live_.size() - 1});
    }
  }

  void route(std::size_t id) {
    if (++n_placed_ % 256 == 0 && progress_)
      progress_(n_placed_);
    auto& request = live(id);
    routing_request asked;
    asked.conversation = mixed(request.of->number + 1);
    asked.n_prompt_tokens = all_.requests[id].n_prompt_tokens;
    request.place = router_.place(asked, pages_of(prompt_of(request)), transcript::page_tokens);
    all_.requests[id].worker = request.place.worker;
    events_.push({now_ + to_worker_, event_kind::delivery, id});
  }

  void deliver(std::size_t id) {
    const auto& request = live(id);
    auto& worker = workers_[request.place.worker];
    worker.take({id, all_.requests[id].n_prompt_tokens, load_.n_output_tokens, prompt_of(request),
                 request.said.marks()});
    if (!worker.is_stepping())
      begin_step(request.place.worker);
  }

  auto expect_end() {
    return [this](std::size_t worker, nanoseconds at) { events_.push({at, event_kind::step_over, worker}); };
  }

  void begin_step(std::size_t worker) {
    const auto rows = workers_[worker].begin_step();
    const auto& spread = rows.n_prefill > 0 ? settings_.costs.prefill_spread : settings_.costs.decode_spread;
    const double times_longer = spread.empty() ? 1 : spread[chance_.below(spread.size())];
    machine_.begin(worker, ns_of_us(times_longer * costs_.us(rows)), now_, expect_end());
  }

  void finish_step(std::size_t worker) {
    if (!machine_.is_over(worker, now_))
      return;
    all_.busy[worker] += machine_.end(worker, now_, expect_end());
    const auto out = workers_[worker].end_step();
    for (const auto& begun : out.first) {
      auto& record = all_.requests[begun.id];
      record.n_cached_tokens = begun.n_cached_tokens;
      record.first = now_ + to_worker_ + to_client_;
      events_.push({now_ + to_worker_, event_kind::first_token, begun.id});
    }
    for (const auto id : out.ended)
      events_.push({now_ + to_worker_, event_kind::end, id});
    if (workers_[worker].has_work())
      begin_step(worker);
  }

  void finish(std::size_t id) {
    const auto over = std::move(*live_[id]);
    live_[id].reset();
    router_.saw_end(over.place, pages_of(over.said.marks()));
    auto& record = all_.requests[id];
    record.ended = now_ + to_client_;
    all_.duration = std::max(all_.duration, record.ended);
    ask_after(over.of, over.turn, over.said, all_.requests[id].ended);
    if (--over.of->n_open == 0 && !load_.arrivals)
      begin_dialogue(all_.requests[id].ended);
  }

  std::span<const page_hash> prompt_of(const live_request& request) const {
    return std::span{request.said.marks()}.first(request.n_prompt_marks);
  }
  live_request& live(std::size_t id) { return *live_[id]; }

  cluster_outcome outcome() {
    if (!all_.requests.empty())
      all_.duration -= std::ranges::min_element(all_.requests, {}, &request_outcome::intended)->intended;
    return std::move(all_);
  }

  const cluster_settings& settings_;
  const load::workload& what_;
  const offered_load& load_;
  const progress_report& progress_;
  step_model costs_;
  request_router router_;
  std::deque<simulated_worker> workers_;
  nanoseconds to_router_;
  nanoseconds to_client_;
  nanoseconds to_worker_;
  load::seeded_random chance_;
  shared_machine machine_;
  std::unique_ptr<load::arrival_process> arrivals_;
  event_queue events_;
  nanoseconds now_ = 0;
  std::deque<std::optional<live_request>> live_; ///< by number; none: ended
  cluster_outcome all_;
  std::uint64_t n_dialogues_ = 0;
  int n_begun_ = 0;
  int n_placed_ = 0;
};

} // namespace

cluster_outcome simulate(const cluster_settings& settings, const load::workload& what,
                         const offered_load& load, const progress_report& progress) {
  return simulation{settings, what, load, progress}.run();
}

} // namespace souffleur::cluster_simulation
