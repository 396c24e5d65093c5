#include "examples/cluster_simulator/simulated_worker.hpp"

#include "examples/cluster_simulator/transcript.hpp"

#include <algorithm>

namespace souffleur::cluster_simulation {

namespace {

constexpr int page_tokens = transcript::page_tokens;

int n_common_pages(std::span<const page_hash> a, std::span<const page_hash> b) {
  const auto n = std::ranges::mismatch(a, b).in1 - a.begin();
  return static_cast<int>(static_cast<std::size_t>(n) / transcript::marks_a_page);
}

/// The names of what the first `n_tokens` have.
std::span<const page_hash> beginning(std::span<const page_hash> marks, int n_tokens) {
  return marks.first(std::min(marks.size(), static_cast<std::size_t>(n_tokens / transcript::mark_tokens)));
}

} // namespace

simulated_worker::simulated_worker(const worker_settings& settings)
    : settings_(settings), scheduling_(make_scheduling_policy(settings.scheduling_policy)),
      cache_(settings.prefix_cache ? settings.n_kv_pages : 0) {}

void simulated_worker::take(const worker_request& request) { waiting_.push_back({request, n_arrived_++}); }

int simulated_worker::n_cached_now(const sequence& who) const {
  const auto n = static_cast<int>(cache_.n_matched(who.what.prompt)) * transcript::mark_tokens;
  return std::min(n, who.what.n_prompt_tokens - 1); // the last one is computed for its logits
}

waiting_request simulated_worker::view_of(const sequence& who, int n_cached) const {
  waiting_request view;
  view.id = who.what.id;
  view.arrival = who.arrival;
  view.n_prompt_tokens = who.what.n_prompt_tokens - who.n_computed;
  view.n_cached_tokens = n_cached;
  view.n_passed_over = who.n_passed_over;
  return view;
}

/// Whether somebody computes enough of its prompt just now to be worth waiting for.
bool simulated_worker::is_under_way(const sequence& waiting) const {
  return settings_.prefix_cache && std::ranges::any_of(running_, [&](const sequence& who) {
           const int n_published = who.n_computed / page_tokens;
           return !who.decodes() &&
                  (n_common_pages(waiting.what.prompt, who.what.prompt) - n_published) * page_tokens >=
                      settings_.join_prefill_tokens;
         });
}

void simulated_worker::admit() {
  if (waiting_.empty() || static_cast<int>(running_.size()) >= settings_.max_running)
    return;
  std::vector<waiting_request> views;
  for (const auto& who : waiting_)
    views.push_back(view_of(who, scheduling_->looks_at_prefixes() ? n_cached_now(who) : 0));
  for (const auto id : scheduling_->order(views)) {
    if (static_cast<int>(running_.size()) >= settings_.max_running)
      break;
    const auto at = std::ranges::find(waiting_, id, [](const sequence& who) { return who.what.id; });
    if (is_under_way(*at))
      continue;
    auto who = std::move(*at);
    for (auto earlier = waiting_.begin(); earlier != at; ++earlier)
      ++earlier->n_passed_over;
    waiting_.erase(at);
    who.n_cached = who.n_computed = n_cached_now(who);
    scheduling_->admitted("");
    running_.push_back(std::move(who));
  }
}

step_rows simulated_worker::begin_step() {
  stepping_ = true;
  admit();
  int budget = settings_.max_batch_tokens;
  step_rows rows;
  std::vector<waiting_request> views;
  for (auto& who : running_) {
    who.n_rows = 0;
    if (!who.decodes()) {
      views.push_back(view_of(who, 0));
    } else if (budget > 0) {
      who.n_rows = 1;
      ++rows.n_decode;
      --budget;
      rows.decode_context += who.what.n_prompt_tokens + who.n_output;
    }
  }
  for (const auto id : views.empty() ? std::vector<sequence_id>{} : scheduling_->order(views)) {
    auto& who = *std::ranges::find(running_, id, [](const sequence& one) { return one.what.id; });
    who.n_rows = std::min(budget, who.what.n_prompt_tokens - who.n_computed);
    budget -= who.n_rows;
    rows.n_prefill += who.n_rows;
    rows.prefill_context += std::int64_t{who.n_rows} * (who.n_computed + who.n_rows / 2);
  }
  return rows;
}

simulated_worker::outcome simulated_worker::end_step() {
  stepping_ = false;
  outcome out;
  for (auto& who : running_) {
    if (who.n_rows == 0)
      continue;
    scheduling_->served("", who.n_rows);
    if (!who.decodes()) {
      who.n_computed += who.n_rows;
      cache_.insert(beginning(who.what.prompt, who.n_computed));
      if (!who.decodes())
        continue;
      out.first.push_back({who.what.id, who.n_cached});
    }
    if (++who.n_output >= who.what.n_output_tokens) {
      out.ended.push_back(who.what.id);
      const auto n_in_cache = who.what.n_prompt_tokens + who.n_output - 1; // nobody computes the last one
      cache_.insert(beginning(who.what.whole, n_in_cache));
    }
  }
  std::erase_if(running_, [](const sequence& who) { return who.n_output >= who.what.n_output_tokens; });
  return out;
}

} // namespace souffleur::cluster_simulation
