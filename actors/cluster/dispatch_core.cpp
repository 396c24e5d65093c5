#include "actors/cluster/dispatch_core.hpp"

#include "actors/cluster/routed_request.hpp"
#include "engine/kv/page_key.hpp"

#include <algorithm>

namespace souffleur {

namespace {

/// A request with which so many workers in a row were lost before they said anything is taken for the reason.
constexpr int max_fruitless = 5;
/// A worker ends a stream at its deadline; if it does not, the router does, so much later.
constexpr std::chrono::seconds deadline_grace{1};

double ms_between(steady_time from, steady_time to) {
  return std::chrono::duration<double, std::milli>(to - from).count();
}

std::int64_t ms_between_whole(steady_time from, steady_time to) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(to - from).count();
}

/// Says of the worker that it could not, not of the request.
bool is_of_worker(const generation_failed& why) {
  return why.status == 503 && (why.code == "engine_restarted" || why.code == "shutting_down");
}

std::vector<token_id> joined_tokens(const std::vector<token_id>& prompt,
                                    const std::vector<token_id>& output) {
  auto all = prompt;
  all.insert(all.end(), output.begin(), output.end());
  return all;
}

} // namespace

dispatch_core::dispatch_core(const cluster_config& config, std::shared_ptr<const tokenizer> vocabulary,
                             std::unique_ptr<routing_policy> policy)
    : config_(config), vocabulary_(std::move(vocabulary)), policy_(std::move(policy)) {
  routing_options options;
  options.load_factor = config.load_factor;
  if (!policy_)
    policy_ = make_routing_policy(config.policy, options);
}

void dispatch_core::admit(const admitted_request& request, steady_time now) {
  auto& who = streams_.emplace(request.id, stream{request}).first->second;
  who.pages = page_hashes(request.tenant, request.prompt);
  who.unplaced_since = now;
  place(who, now);
}

void dispatch_core::cancel(request_id id, steady_time now) {
  if (streams_.contains(id))
    end(id, finish_reason::cancelled, now);
}

void dispatch_core::amend(request_id id, const generation_change& change, steady_time now) {
  const auto found = streams_.find(id);
  if (found == streams_.end())
    return;
  auto& who = found->second;
  auto& request = who.request;
  request.priority = change.priority.value_or(request.priority);
  if (change.max_tokens) {
    auto sampling = *request.sampling;
    sampling.max_tokens =
        std::clamp(*change.max_tokens, 1, std::max(request.most_tokens, sampling.max_tokens));
    request.sampling = std::make_shared<const sampling_params>(std::move(sampling));
  }
  if (change.stop_thinking)
    who.change = generation_change{std::nullopt, std::nullopt, true};
  if (who.attempt != 0)
    send(who.worker, stream_change{who.attempt, change});
  else if (!who.delivered.empty() && static_cast<int>(who.delivered.size()) >= request.sampling->max_tokens)
    end(id, finish_reason::length, now);
}

void dispatch_core::expire(steady_time now) {
  std::vector<request_id> late;
  std::vector<request_id> unplaced;
  for (auto& [id, who] : streams_) {
    const bool is_placed = who.attempt != 0;
    if (who.request.deadline.give_up(is_placed ? now - deadline_grace : now)) {
      late.push_back(id);
    } else if (!is_placed) {
      if (now >= who.unplaced_since + config_.worker_wait)
        unplaced.push_back(id);
    } else if (const auto until = who.request.deadline.at(); until > who.told_deadline) {
      who.told_deadline = until;
      send(who.worker, stream_postponement{who.attempt, ms_between_whole(now, until)});
    }
  }
  for (const auto id : late)
    end(id, finish_reason::deadline, now);
  for (const auto id : unplaced)
    fail(id, {503, "no_worker", "No worker of the cluster is there to answer; try again later.", "", 1}, now);
}

void dispatch_core::take(const worker_news& news, steady_time now) {
  const auto id = news.worker;
  if (const auto* arrived = std::get_if<worker_joined>(&news.what))
    joined(id, *arrived, now);
  else if (std::holds_alternative<worker_left>(news.what))
    left(id, now);
  else if (const auto* batch = std::get_if<step_batch>(&news.what))
    progressed(id, *batch, now);
  else
    status(id, std::get<worker_status>(news.what), now);
}

void dispatch_core::joined(worker_id id, const worker_joined& news, steady_time now) {
  left(id, now); // a name that comes again stands for one that has lost its orders
  workers_[id].profile = news.profile;
  prefixes_.add_worker(id, static_cast<std::size_t>(pages_for(news.profile.n_kv_tokens)));
  place_all(now);
}

void dispatch_core::left(worker_id id, steady_time now) {
  if (!workers_.contains(id))
    return;
  for (auto& [name, who] : streams_)
    if (who.worker == id && who.attempt != 0)
      lose_attempt(who, now);
  workers_.erase(id);
  prefixes_.remove_worker(id);
  place_all(now);
}

void dispatch_core::status(worker_id id, const worker_status& now_is, steady_time now) {
  const auto found = workers_.find(id);
  if (found == workers_.end())
    return;
  const bool was_draining = std::exchange(found->second.is_draining, now_is.is_draining);
  prefixes_.report(id, now_is.added, now_is.removed);
  if (was_draining && !now_is.is_draining)
    place_all(now);
}

void dispatch_core::place_all(steady_time now) {
  std::vector<request_id> unplaced;
  for (const auto& [id, who] : streams_)
    if (who.attempt == 0)
      unplaced.push_back(id);
  for (const auto id : unplaced) {
    const auto found = streams_.find(id);
    if (found->second.n_fruitless >= max_fruitless)
      fail(id,
           {503, "worker_lost",
            std::to_string(max_fruitless) +
                " workers in a row were lost before they said anything to this request.",
            "", 1},
           now);
    else
      place(found->second, now);
  }
}

std::optional<worker_id> dispatch_core::choose_for(const stream& who) const {
  const bool looks = policy_->looks_at_prefixes();
  const auto matches = looks ? prefixes_.find(who.pages) : std::vector<prefix_directory::match>{};
  std::vector<worker_view> views;
  views.reserve(workers_.size());
  for (const auto& [id, one] : workers_) {
    const auto match = std::ranges::find(matches, id, &prefix_directory::match::worker);
    views.push_back({id, !one.is_draining, one.n_streams, one.n_waiting_tokens,
                     match == matches.end() ? 0 : match->n_pages * page_tokens});
  }
  const auto n_prompt = static_cast<int>(who.request.prompt.size() + who.delivered.size());
  const auto chosen = policy_->choose({who.request.conversation, n_prompt}, views);
  return chosen ? std::optional{views[*chosen].id} : std::nullopt;
}

void dispatch_core::place(stream& who, steady_time now) {
  const auto chosen = choose_for(who);
  if (!chosen)
    return;
  auto& to = workers_.at(*chosen);
  int n_matched = 0;
  for (const auto page : who.pages) {
    if (!prefixes_.has(*chosen, page))
      break;
    n_matched += page_tokens;
  }
  prefixes_.insert(*chosen, who.pages);
  who.worker = *chosen;
  who.attempt = ++n_attempts_;
  who.n_waiting_tokens =
      std::max(0, static_cast<int>(who.request.prompt.size() + who.delivered.size()) - n_matched);
  attempts_[who.attempt] = who.request.id;
  ++to.n_streams;
  to.n_waiting_tokens += who.n_waiting_tokens;
  if (!who.placed_at)
    who.placed_at = now;
  else
    ++n_replays_;
  who.told_deadline = who.request.deadline.at();
  send(*chosen, order_for(who.request, who.delivered, who.attempt, now));
  if (who.change)
    send(*chosen, stream_change{who.attempt, *who.change});
}

void dispatch_core::leave_worker(stream& who) {
  if (who.attempt == 0)
    return;
  auto& at = workers_.at(who.worker);
  --at.n_streams;
  at.n_waiting_tokens -= who.n_waiting_tokens;
  who.n_waiting_tokens = 0;
  attempts_.erase(who.attempt);
  who.attempt = 0;
}

void dispatch_core::lose_attempt(stream& who, steady_time now) {
  leave_worker(who);
  who.held.reset(); // it will be said again
  who.unplaced_since = now;
  ++who.n_fruitless;
}

void dispatch_core::progressed(worker_id id, const step_batch& batch, steady_time now) {
  const auto from = workers_.find(id);
  if (from == workers_.end())
    return;
  for (const auto& progress : batch.streams) {
    const auto attempt = attempts_.find(progress.attempt);
    if (attempt == attempts_.end())
      continue;
    auto& who = streams_.at(attempt->second);
    if (who.worker == id)
      apply(who, progress, now);
  }
  // Some at once: each is a message of its own.
  if (++from->second.n_credits_due * 4 >= config_.n_batches)
    send(id, batch_credit{std::exchange(from->second.n_credits_due, 0)});
  place_all(now);
}

void dispatch_core::apply(stream& who, const stream_progress& progress, steady_time now) {
  const auto id = who.request.id;
  auto& at = workers_.at(who.worker);
  at.n_waiting_tokens -= std::exchange(who.n_waiting_tokens, 0);
  if (progress.delta.step) {
    who.usage.n_steps += progress.n_steps;
    who.usage.n_drafted_tokens += progress.delta.step->n_drafted;
    who.usage.n_accepted_tokens += progress.delta.step->n_accepted;
  }
  const bool is_last = progress.finished.has_value();
  if (who.held) {
    deliver(who, std::move(*who.held), now);
    who.held.reset();
  }
  auto delta = progress.delta;
  for (auto& token : delta.tokens)
    token.bytes = std::string{vocabulary_->piece(token.id)};
  // What is shown at the end only would be shown again if the end had to be found again.
  if (!delta.tail.empty() && !is_last && !progress.failed)
    who.held = std::move(delta);
  else
    deliver(who, std::move(delta), now);
  // Who joined the stream in the moment in which its worker gave it up gets the rest from another attempt.
  const bool goes_on =
      is_last && progress.finished->reason == finish_reason::deadline && !who.request.deadline.give_up(now);
  if (is_last && !goes_on) {
    finish(id, *progress.finished, now);
  } else if (progress.failed && !is_of_worker(*progress.failed)) {
    fail(id, *progress.failed, now);
  } else if (progress.failed || progress.is_handed_over || goes_on) {
    const int n_fruitless = who.n_fruitless;
    lose_attempt(who, now);
    if (!progress.failed)
      who.n_fruitless = n_fruitless;
  }
}

void dispatch_core::deliver(stream& who, generation_delta delta, steady_time now) {
  for (const auto& token : delta.tokens)
    who.delivered.push_back(token.id);
  if (!delta.tokens.empty()) {
    who.n_fruitless = 0;
    if (!who.first_token_at)
      who.first_token_at = now;
  }
  if (!who.request.trace)
    delta.step.reset();
  if (!delta.tokens.empty() || !delta.tail.empty() || delta.step)
    who.request.reply->delta(std::move(delta));
}

void dispatch_core::end(request_id id, finish_reason reason, steady_time now) {
  auto& who = streams_.at(id);
  if (who.attempt != 0)
    send(who.worker, stream_cancel{who.attempt});
  generation_finished end;
  end.reason = reason;
  end.usage.n_output_tokens = static_cast<int>(who.delivered.size());
  finish(id, end, now);
}

void dispatch_core::finish(request_id id, const generation_finished& end, steady_time now) {
  auto& who = streams_.at(id);
  const auto& request = who.request;
  if (who.attempt != 0 && end.reason != finish_reason::cancelled)
    prefixes_.insert(who.worker, page_hashes(request.tenant, joined_tokens(request.prompt, who.delivered)));
  leave_worker(who);
  auto told = end;
  auto& usage = told.usage;
  usage.n_prompt_tokens = static_cast<int>(request.prompt.size());
  usage.n_drafted_tokens = who.usage.n_drafted_tokens;
  usage.n_accepted_tokens = who.usage.n_accepted_tokens;
  usage.n_steps = std::max(0, who.usage.n_steps - 1); // the first one is the prompt's
  usage.lossy = request.is_lossy;
  usage.similarity = request.similarity;
  usage.queue_ms += ms_between(request.arrival, who.placed_at.value_or(now));
  if (who.first_token_at) {
    usage.prefill_ms = std::max(0.0, ms_between(request.arrival, *who.first_token_at) - usage.queue_ms);
    usage.decode_ms = ms_between(*who.first_token_at, now);
  }
  who.usage = usage;
  request.reply->finish(told);
  retire(who, to_string(end.reason), now);
  streams_.erase(id);
}

void dispatch_core::fail(request_id id, generation_failed why, steady_time now) {
  auto& who = streams_.at(id);
  leave_worker(who);
  who.request.reply->fail(std::move(why));
  retire(who, "error", now);
  streams_.erase(id);
}

void dispatch_core::retire(const stream& who, const std::string& outcome, steady_time now) {
  const auto& asked = who.request;
  reports_.push_back({outcome,
                      who.usage,
                      who.first_token_at ? ms_between(asked.arrival, *who.first_token_at) : -1,
                      ms_between(asked.arrival, now),
                      first_asked_by(asked.id),
                      asked.id,
                      asked.tenant,
                      {asked.arrival, asked.prepared, asked.looked_up, who.placed_at.value_or(steady_time{}),
                       who.first_token_at.value_or(steady_time{}), now}});
}

int dispatch_core::n_unplaced() const {
  return static_cast<int>(
      std::ranges::count_if(streams_, [](const auto& one) { return one.second.attempt == 0; }));
}

std::string dispatch_core::check_integrity() const {
  std::map<worker_id, std::pair<int, int>> sums;
  std::size_t n_placed = 0;
  for (const auto& [id, who] : streams_) {
    if (who.request.reply->ended())
      return "a stream goes on after its end";
    if (who.attempt == 0)
      continue;
    ++n_placed;
    if (!workers_.contains(who.worker))
      return "a stream is at a worker that is gone";
    const auto found = attempts_.find(who.attempt);
    if (found == attempts_.end() || found->second != id)
      return "an attempt is not its stream's";
    ++sums[who.worker].first;
    sums[who.worker].second += who.n_waiting_tokens;
  }
  if (n_placed != attempts_.size())
    return "an attempt is nobody's";
  for (const auto& [id, one] : workers_)
    if (sums[id] != std::pair{one.n_streams, one.n_waiting_tokens})
      return "a worker's load is not that of its streams";
  return "";
}

} // namespace souffleur
