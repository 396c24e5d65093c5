#include "actors/cluster/dispatch_core.hpp"

#include "actors/cluster/routed_request.hpp"
#include "engine/elapsed.hpp"
#include "engine/kv/page_key.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace souffleur {

namespace {

/// A request with which so many workers in a row were lost before they said anything is taken for the reason.
constexpr int max_fruitless = 5;
/// A worker ends a stream at its deadline; if it does not, the router does, so much later.
constexpr std::chrono::seconds deadline_grace{1};

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
    if (who.prefiller != 0 && now >= who.prefill_until)
      give_up_prefill(who, "nothing was heard of it", now);
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
  else if (const auto* page = std::get_if<shipped_page>(&news.what))
    pass_on(id, *page, now);
  else if (const auto* receipt = std::get_if<page_receipt>(&news.what))
    note_receipt(id, *receipt, now);
  else if (const auto* ended = std::get_if<prefill_ended>(&news.what))
    prefilled(id, *ended, now);
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
    if (who.attempt != 0 && who.worker == id)
      lose_attempt(who, now);
    else if (who.prefiller == id)
      give_up_prefill(who, "it is gone", now);
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
  const bool all_decode = !anybody_decodes(); // better slowly than not at all
  for (const auto& [id, one] : workers_) {
    const auto match = std::ranges::find(matches, id, &prefix_directory::match::worker);
    const bool decodes = all_decode || one.profile.serves != "prefill";
    views.push_back({id, decodes && !one.is_draining, one.n_streams, one.n_waiting_tokens,
                     match == matches.end() ? 0 : match->n_pages * page_tokens});
  }
  const auto n_prompt = static_cast<int>(who.request.prompt.size() + who.delivered.size());
  const auto chosen = policy_->choose({who.request.conversation, n_prompt}, views);
  return chosen ? std::optional{views[*chosen].id} : std::nullopt;
}

bool dispatch_core::anybody_decodes() const {
  return std::ranges::any_of(workers_, [](const auto& one) {
    return !one.second.is_draining && one.second.profile.serves != "prefill";
  });
}

std::optional<worker_id> dispatch_core::choose_prefiller_for(const stream& who) const {
  const auto& decoder = workers_.at(who.worker).profile;
  // What is computed with less in sight is of no use to others.
  if (decoder.serves != "decode" || who.is_prefilled_here || who.request.window_policy != "full")
    return std::nullopt;
  std::vector<worker_view> views;
  for (const auto& [id, one] : workers_)
    if (one.profile.serves == "prefill" && one.profile.computes == decoder.computes)
      views.push_back(
          {id, !one.is_draining, one.n_streams, one.n_waiting_tokens, n_held_tokens(id, who.pages)});
  prefill_rules rules;
  rules.min_tokens = config_.prefill_min_tokens;
  const auto n_prompt = static_cast<int>(who.request.prompt.size() + who.delivered.size());
  const auto chosen = choose_prefill_worker(n_prompt, n_held_tokens(who.worker, who.pages), views, rules);
  return chosen ? std::optional{views[*chosen].id} : std::nullopt;
}

int dispatch_core::n_held_tokens(worker_id worker, const std::vector<page_hash>& pages) const {
  const auto missing =
      std::ranges::find_if_not(pages, [&](page_hash page) { return prefixes_.has(worker, page); });
  return static_cast<int>(missing - pages.begin()) * page_tokens;
}

/// Whoever computes has so many tokens before it.
void dispatch_core::expect_tokens(stream& who, int n_tokens) {
  const auto at = who.prefiller != 0 ? who.prefiller : who.worker;
  workers_.at(at).n_waiting_tokens += n_tokens - std::exchange(who.n_waiting_tokens, n_tokens);
}

void dispatch_core::begin_prefill(stream& who, worker_id prefiller, steady_time now) {
  const auto& request = who.request;
  prefill_order order;
  order.attempt = who.attempt;
  order.tenant = request.tenant;
  order.prompt = joined_tokens(request.prompt, who.delivered);
  order.first_page = n_held_tokens(who.worker, who.pages) / page_tokens;
  order.priority = request.priority;
  order.time_left_ms = std::max<std::int64_t>(0, ms_between_whole(now, request.deadline.at()));
  who.prefiller = prefiller;
  who.prefill_until = now + config_.prefill_timeout;
  expect_tokens(who, static_cast<int>(order.prompt.size()) - n_held_tokens(prefiller, who.pages));
  prefixes_.insert(prefiller, who.pages);
  send(prefiller, std::move(order));
}

void dispatch_core::begin_decoding(stream& who, steady_time now) {
  expect_tokens(who, 0);
  who.prefiller = 0;
  const auto n_there = n_held_tokens(who.worker, who.pages) + who.n_shipped_pages * page_tokens;
  expect_tokens(who,
                std::max(0, static_cast<int>(who.request.prompt.size() + who.delivered.size()) - n_there));
  prefixes_.insert(who.worker, who.pages);
  who.told_deadline = who.request.deadline.at();
  send(who.worker, order_for(who.request, who.delivered, who.attempt, now));
  if (who.change)
    send(who.worker, stream_change{who.attempt, *who.change});
}

void dispatch_core::give_up_prefill(stream& who, const std::string& why, steady_time now) {
  spdlog::warn("a prompt is computed where it decodes: of the worker that was to compute it, {}", why);
  ++prefills_.n_failed;
  who.is_prefilled_here = true;
  send(who.prefiller, stream_cancel{who.attempt});
  begin_decoding(who, now);
}

dispatch_core::stream* dispatch_core::stream_of(attempt_id attempt) {
  const auto found = attempts_.find(attempt);
  return found == attempts_.end() ? nullptr : &streams_.at(found->second);
}

void dispatch_core::pass_on(worker_id from, const shipped_page& page, steady_time now) {
  auto* who = stream_of(page.attempt);
  if (who == nullptr || who->prefiller != from)
    return;
  who->prefill_until = now + config_.prefill_timeout;
  send(who->worker, page);
}

void dispatch_core::note_receipt(worker_id at, const page_receipt& receipt, steady_time now) {
  auto* who = stream_of(receipt.attempt);
  if (who == nullptr || who->worker != at)
    return;
  who->n_shipped_pages += receipt.n_pages;
  prefills_.n_shipped_pages += static_cast<std::uint64_t>(std::max(0, receipt.n_pages));
  if (who->prefiller == 0)
    return;
  if (!receipt.why.empty())
    return give_up_prefill(*who, "the pages are refused: " + receipt.why, now);
  who->prefill_until = now + config_.prefill_timeout;
  send(who->prefiller, receipt);
}

void dispatch_core::prefilled(worker_id by, const prefill_ended& ended, steady_time now) {
  auto* who = stream_of(ended.attempt);
  if (who == nullptr || who->prefiller != by)
    return;
  if (!ended.why.empty())
    return give_up_prefill(*who, "this is heard: " + ended.why, now);
  ++prefills_.n_shipped;
  begin_decoding(*who, now);
}

void dispatch_core::place(stream& who, steady_time now) {
  const auto chosen = choose_for(who);
  if (!chosen)
    return;
  who.worker = *chosen;
  who.attempt = ++n_attempts_;
  who.n_shipped_pages = 0;
  attempts_[who.attempt] = who.request.id;
  ++workers_.at(*chosen).n_streams;
  if (!who.placed_at)
    who.placed_at = now;
  else
    ++n_replays_;
  who.told_deadline = who.request.deadline.at();
  if (const auto prefiller = choose_prefiller_for(who))
    begin_prefill(who, *prefiller, now);
  else
    begin_decoding(who, now);
}

void dispatch_core::leave_worker(stream& who) {
  if (who.attempt == 0)
    return;
  expect_tokens(who, 0);
  if (who.prefiller != 0)
    send(std::exchange(who.prefiller, 0), stream_cancel{who.attempt});
  --workers_.at(who.worker).n_streams;
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
  expect_tokens(who, 0);
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
    if (who.prefiller != 0 && (!workers_.contains(who.prefiller) || who.prefiller == who.worker))
      return "a prompt is computed by a worker that is gone, or for itself";
    ++sums[who.worker].first;
    sums[who.prefiller != 0 ? who.prefiller : who.worker].second += who.n_waiting_tokens;
  }
  if (n_placed != attempts_.size())
    return "an attempt is nobody's";
  for (const auto& [id, one] : workers_)
    if (sums[id] != std::pair{one.n_streams, one.n_waiting_tokens})
      return "a worker's load is not that of its streams";
  return "";
}

} // namespace souffleur
