#include "actors/scheduler_core.hpp"

#include "engine/drafting/grammar_drafts.hpp"
#include "engine/drafting/token_recycling.hpp"
#include "engine/elapsed.hpp"
#include "engine/text_ends.hpp"
#include "engine/tree_lines.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <tuple>
#include <unordered_map>

namespace souffleur {

namespace {

constexpr int max_openings_per_round = 16;
constexpr std::size_t max_questions_per_round = 8; ///< each copies a prompt
constexpr int max_postponed_per_round = 64;        ///< each is compared with all whose prompts are under way
constexpr int max_load_attempts = 2;               ///< fewer than the next: what is loaded is nobody's fault
constexpr int max_crashes_alone = 3;

waiting_request view_of(const sequence& who, std::uint64_t arrival, int n_prompt_tokens,
                        int n_cached_tokens) {
  using std::chrono::milliseconds;
  const auto deadline = who.request.deadline.at().time_since_epoch();
  return {.id = who.id(),
          .arrival = arrival,
          .priority = who.request.priority,
          .n_prompt_tokens = n_prompt_tokens,
          .n_cached_tokens = n_cached_tokens,
          .n_passed_over = who.n_passed_over,
          .deadline_ms = std::chrono::duration_cast<milliseconds>(deadline).count(),
          .tenant = who.request.tenant};
}

running_request running_view_of(const sequence& who) {
  return {who.id(), who.request.tenant, who.n_output() > 0, who.n_sat_out};
}

/// Of the prefix that begin() could find for `prompt` once `tokens` are computed and published.
int n_common_tokens(std::span<const token_id> prompt, std::span<const token_id> tokens) {
  if (prompt.empty())
    return 0;
  const auto differs = std::ranges::mismatch(prompt.first(prompt.size() - 1), tokens).in1;
  return static_cast<int>(differs - prompt.begin()) / page_tokens * page_tokens;
}

/// Tokens of the longest draft that the sequence has pages and a view for.
int n_that_fit(const sequence& who, std::span<const draft_tree> drafts) {
  std::size_t n_drafted = 0;
  for (const auto& draft : drafts)
    n_drafted = std::max(n_drafted, draft.nodes.size());
  const int end = std::min(who.n_covered(), who.end_of_view(1 + who.n_draft_wished));
  return std::max(0, std::min({static_cast<int>(n_drafted), who.n_draft_wished, end - who.n_tokens()}));
}

void show_what_was_held_back(sequence& who) {
  if (auto tail = who.text.flush(); !tail.empty())
    who.request.reply->delta({{}, std::move(tail)});
}

bool outgrows_its_window(const sequence& who) {
  const int most = who.window->most_kept(who.request.window);
  return most > 0 && who.n_tokens() > most;
}

/// What it could find of its tokens: what others computed with more in sight is of no use to it.
std::span<const token_id> findable_tokens(const sequence& who) {
  const std::span<const token_id> tokens{who.tokens};
  if (!outgrows_its_window(who))
    return tokens;
  return tokens.first(static_cast<std::size_t>(who.window->most_kept(who.request.window)) + 1);
}

} // namespace

scheduler_core::scheduler_core(const serving_config& config, std::shared_ptr<const tokenizer> vocabulary,
                               std::unique_ptr<scheduling_policy> scheduling, std::shared_ptr<page_tier> tier,
                               const known_costs& costs)
    : config_(config), vocabulary_(std::move(vocabulary)),
      scheduling_(scheduling ? std::move(scheduling) : make_scheduling_policy(config.scheduling_policy)),
      drafting_(config.draft_policy_in_force(), costs), tier_(std::move(tier), config.tier_step_bytes),
      suspects_(max_crashes_alone) {}

void scheduler_core::admit(admitted_request request) {
  auto who = std::make_unique<sequence>(std::move(request), vocabulary_);
  who->subject = subject_of(*who);
  const bool recycles = who->subject && who->subject->drafters.recycling;
  who->n_successors = recycles ? static_cast<int>(token_recycling::n_successors) : 0;
  if (who->has_said_all()) {
    show_what_was_held_back(*who);
    const bool stops = who->n_remaining() > 0 || who->text.stopped();
    tell_end(*who, stops ? finish_reason::stop : finish_reason::length, who->request.arrival);
    return;
  }
  waiting_.push_back(std::move(who));
  nothing_happened_ = false;
}

void scheduler_core::cancel(request_id id, steady_time now) {
  if (auto* who = find_running(id)) {
    finish(*who, finish_reason::cancelled, now);
    sweep();
    return;
  }
  const auto i = place_of_waiting(id);
  if (i == waiting_.end())
    return;
  auto who = std::move(*i);
  waiting_.erase(i);
  tell_end(*who, finish_reason::cancelled, now);
}

void scheduler_core::amend(request_id id, const generation_change& change, steady_time now) {
  auto* running = find_running(id);
  auto* who = running != nullptr ? running : find_waiting(id);
  if (who == nullptr)
    return;
  who->request.priority = change.priority.value_or(who->request.priority);
  auto sampling = *who->request.sampling;
  if (change.max_tokens)
    sampling.max_tokens =
        std::clamp(*change.max_tokens, 1, std::max(who->request.most_tokens, sampling.max_tokens));
  if (change.stop_thinking && who->thought) // no more than it was allowed: else it would have been closed
    sampling.max_thinking_tokens = who->thought->n_tokens();
  who->request.sampling = std::make_shared<const sampling_params>(std::move(sampling));
  if (who->n_output() > 0 && who->n_remaining() <= 0)
    end_early(id, finish_reason::length, now);
}

void scheduler_core::end_early(sequence_id id, finish_reason reason, steady_time now) {
  if (auto* who = find_running(id)) {
    show_what_was_held_back(*who);
    finish(*who, reason, now);
    sweep();
    return;
  }
  const auto i = place_of_waiting(id);
  auto who = std::move(*i);
  waiting_.erase(i);
  show_what_was_held_back(*who);
  tell_end(*who, reason, now);
}

bool scheduler_core::has_work() const {
  return !running_.empty() || !endings_.empty() || !drafter_endings_.empty() ||
         !draft_model_endings_.empty() || !waiting_.empty() || tier_.has_work();
}

bool scheduler_core::waits_for_tier() const {
  return nothing_happened_ && tier_.is_out() && !tier_.has_released() && endings_.empty() &&
         drafter_endings_.empty() && draft_model_endings_.empty();
}

void scheduler_core::expire(steady_time now) {
  const auto is_late = [&](const sequence_ptr& who) { return who->request.deadline.give_up(now); };
  for (auto& who : running_)
    if (is_late(who)) {
      show_what_was_held_back(*who);
      finish(*who, finish_reason::deadline, now);
    }
  sweep();
  std::erase_if(waiting_, [&](sequence_ptr& who) {
    if (!is_late(who))
      return false;
    show_what_was_held_back(*who);
    tell_end(*who, finish_reason::deadline, now);
    return true;
  });
}

scheduler_core::round scheduler_core::begin_round(steady_time now) {
  expire(now);
  ++n_rounds_;
  nothing_happened_ = true;
  std::ranges::copy(tier_.take_released(), std::back_inserter(endings_));
  make_place();
  round demand;
  demand.kv.now_s = std::chrono::duration<double>(now.time_since_epoch()).count();
  for (const auto id : endings_)
    if (auto held_back = held_publications_.extract(id))
      last_publications_.push_back(std::move(held_back.mapped()));
  demand.kv.publications = std::exchange(last_publications_, {});
  if (!endings_.empty())
    starved_ = false;
  demand.kv.endings = std::exchange(endings_, {});
  demand.drafts.ended = std::exchange(drafter_endings_, {});
  reserved_.clear();
  opened_.clear();
  asked_.clear();
  demand_of_running(demand);
  demand_of_waiting(demand);
  ask_about_waiting(demand.kv);
  return demand;
}

void scheduler_core::make_place() {
  const bool full = n_running() >= config_.max_running || (starved_ && endings_.empty());
  // Without the prefix cache, who leaves would be computed again from the start.
  if (!full || waiting_.empty() || !config_.prefix_cache || !scheduling_->gives_places())
    return;
  std::vector<running_request> running;
  for (const auto& who : running_)
    running.push_back(running_view_of(*who));
  const auto waiting = views_of_waiting();
  const auto next = std::ranges::find(waiting, scheduling_->first(waiting), &waiting_request::id);
  if (const auto leaves = scheduling_->yields(running, *next))
    preempt(std::ranges::find(running_, *leaves, [](const auto& who) { return who->id(); }));
}

void scheduler_core::demand_of_running(round& demand) {
  const int n_decoding = static_cast<int>(
      std::count_if(running_.begin(), running_.end(), [](auto& who) { return who->decodes(); }));
  for (auto& who : running_) {
    who->n_draft_wished = 0;
    who->n_asked_of_model = 0;
    if (who->decodes() && who->subject) {
      draft_situation now;
      now.n_rows = n_decoding;
      now.max_draft_tokens =
          std::min(config_.max_draft, who->request.speculation.max_draft.value_or(config_.max_draft));
      now.n_remaining_tokens = who->n_remaining();
      now.policy = who->request.speculation.policy;
      who->n_draft_wished = drafting_.n_wished(now);
      if (who->n_draft_wished > 0)
        demand.drafts.wishes.push_back(wish_of(*who));
    }
    const int n_full_pages = who->n_computed / page_tokens;
    const bool publishes =
        config_.prefix_cache && who->n_dropped == 0 && n_full_pages > who->n_published_pages;
    if (publishes) {
      demand.kv.publications.push_back(publication_of(*who));
      who->n_published_pages = n_full_pages;
    }
    const int n_needed =
        std::min(who->n_tokens() + who->n_draft_wished, who->end_of_view(config_.max_batch_tokens));
    const int n_to_drop = who->n_to_drop();
    if (n_to_drop > who->n_dropped)
      tier_.forget_saves(who->id());
    // A publication may replace pages by the tree's, so the page list has to be asked for again.
    if (publishes || n_to_drop > who->n_dropped || n_needed > who->n_covered()) {
      demand.kv.reservations.push_back(
          {who->id(), n_needed, who->window->n_sinks(who->request.window), n_to_drop});
      reserved_.push_back(who->id());
    }
  }
}

void scheduler_core::demand_of_waiting(round& demand) {
  const int n_slots = std::min(config_.max_running - n_running(), max_openings_per_round);
  if (waiting_.empty() || n_slots <= 0 || (starved_ && !running_.empty()))
    return;
  int n_postponed = 0;
  for (const auto id : scheduling_->order(views_of_waiting())) {
    if (static_cast<int>(opened_.size()) >= n_slots || n_postponed >= max_postponed_per_round)
      break;
    const auto& who = *find_waiting(id);
    if (is_under_way(who)) {
      ++n_postponed;
      continue;
    }
    auto wish = opening_of(who);
    for (const auto& earlier : demand.kv.openings) {
      const int n_saved = wish.salt == earlier.salt ? n_common_tokens(wish.prompt, earlier.prompt) : 0;
      wish.n_awaited_tokens = std::max(wish.n_awaited_tokens, n_saved - config_.join_prefill_tokens + 1);
    }
    demand.kv.openings.push_back(std::move(wish));
    opened_.push_back(id);
  }
}

bool scheduler_core::is_under_way(const sequence& waiting) const {
  const auto wanted = findable_tokens(waiting);
  const auto computes_it = [&](const sequence_ptr& who) {
    const int n_published = who->n_computed / page_tokens * page_tokens;
    return !who->decodes() && who->n_dropped == 0 && who->request.tenant == waiting.request.tenant &&
           n_common_tokens(wanted, who->tokens) - n_published >= config_.join_prefill_tokens;
  };
  return config_.prefix_cache && std::ranges::any_of(running_, computes_it);
}

kv_opening scheduler_core::opening_of(const sequence& who) const {
  const auto prompt = findable_tokens(who);
  const int n_tokens =
      outgrows_its_window(who) ? who.window->most_kept(who.request.window) : who.n_tokens() + 1;
  const auto min_hits = static_cast<std::uint64_t>(tier_.is_on() ? config_.tier_min_hits : 0);
  return {who.id(), salt_of(who), {prompt.begin(), prompt.end()}, n_tokens,
          0,        min_hits,     who.request.retention};
}

std::vector<waiting_request> scheduler_core::views_of_waiting() const {
  std::vector<waiting_request> views;
  views.reserve(waiting_.size());
  for (const auto& who : waiting_)
    views.push_back(view_of(*who, views.size(), who->n_tokens(), who->n_cached_estimate));
  return views;
}

/// A long queue is asked about in turn, so estimates may be some rounds old.
void scheduler_core::ask_about_waiting(kv_demand& demand) {
  if (!config_.prefix_cache || !scheduling_->looks_at_prefixes() || waiting_.size() <= opened_.size())
    return;
  using turn = std::tuple<std::uint64_t, sequence_id, sequence*>;
  std::vector<turn> longest_ago(std::min(max_questions_per_round, waiting_.size()));
  std::vector<turn> all;
  all.reserve(waiting_.size());
  for (const auto& who : waiting_)
    all.emplace_back(who->estimated_at, who->id(), who.get());
  std::ranges::partial_sort_copy(all, longest_ago);
  for (const auto& [asked_at, id, who] : longest_ago) {
    auto opening = opening_of(*who);
    demand.questions.push_back({std::move(opening.salt), std::move(opening.prompt)});
    asked_.push_back(id);
    who->estimated_at = n_rounds_;
  }
}

draft_wish scheduler_core::wish_of(sequence& who) const {
  const int offset = std::min(who.n_known_to_drafter, who.n_tokens());
  return {who.id(),           offset,      {who.tokens.begin() + offset, who.tokens.end()},
          who.n_draft_wished, who.subject, std::exchange(who.successors, {})};
}

std::shared_ptr<const draft_subject> scheduler_core::subject_of(const sequence& who) const {
  const auto& wanted = who.request.speculation;
  if (!wanted.enabled || config_.draft_policy_in_force() == "off")
    return nullptr;
  const auto drafters = drafters_named(wanted.drafter.empty() ? config_.drafter : wanted.drafter);
  return std::make_shared<const draft_subject>(
      who.request.tenant, who.n_prompt, drafters.value_or(drafter_set{}),
      wanted.n_branches.value_or(config_.n_draft_branches), who.request.prediction, who.request.sampling);
}

draft_ending scheduler_core::ending_of(const sequence& who, bool is_answer) const {
  const int offset = std::min(who.n_known_to_drafter, who.n_tokens());
  draft_ending ending{who.id(), offset, {}, who.subject, is_answer};
  if (is_answer)
    ending.appended.assign(who.tokens.begin() + offset, who.tokens.end());
  return ending;
}

kv_publication scheduler_core::publication_of(const sequence& who) {
  const int n_before = std::min(who.n_published_pages * page_tokens, who.n_computed);
  return {who.id(), n_before, {who.tokens.begin() + n_before, who.tokens.begin() + who.n_computed}};
}

std::string scheduler_core::salt_of(const sequence& who) const {
  return config_.prefix_cache ? who.request.tenant : who.request.tenant + '\0' + std::to_string(who.id());
}

std::optional<step_plan> scheduler_core::plan(const kv_supply& supply, draft_offer_ptr offer,
                                              steady_time now) {
  report_ = {};
  report_.kv = supply.occupancy;
  report_.kv_counters_now = supply.counters;
  apply_reservations(supply);
  apply_openings(supply, now);
  apply_answers(supply);
  hold_back_suspects();
  choose_who_sits_out();
  step_plan step;
  planned_.clear();
  int budget = config_.max_batch_tokens;
  const auto add = [&](const sequence& who, int n_rows, const planned_draft& draft) {
    step.sequences.push_back(rows_of(who, n_rows, draft));
    planned_.push_back({who.id(), n_rows, draft.n_tokens, draft.draft, draft.proposals});
    report_.shares.push_back({who.id(), who.n_prompt, who.n_computed, n_rows + draft.n_tokens, draft.n_tokens,
                              0, planned_.back().drafter(), 0, who.n_output()});
    budget -= n_rows + draft.n_tokens;
    report_.n_draft_rows += draft.n_tokens;
  };
  offer_ = fitting(std::move(offer));
  for (const auto& draft : plan_drafts())
    if (budget > 0)
      add(*draft.who, 1, draft);
  for (auto* who : prefilling()) {
    if (budget <= 0)
      break;
    if (!can_compute(*who))
      continue;
    const int end = std::min(who->n_covered(), who->end_of_view(config_.prefill_chunk));
    const int n_rows = std::min({who->n_pending(), config_.prefill_chunk, budget, end - who->n_computed});
    report_.n_prefill_rows += n_rows;
    add(*who, n_rows, {who});
  }
  count_passed_over();
  plan_tier(step);
  report_.n_rows = config_.max_batch_tokens - budget;
  report_.n_running = n_running();
  report_.n_waiting = n_waiting();
  report_.idle = step.sequences.empty();
  if (step.sequences.empty() && step.loads.empty() && step.saves.empty())
    return std::nullopt;
  nothing_happened_ = false;
  return step;
}

draft_demand scheduler_core::ask_draft_model(const draft_offer_ptr& offer) {
  draft_demand demand;
  demand.ended = std::exchange(draft_model_endings_, {});
  const auto proposals = proposals_of(offer);
  std::vector<sequence*> asked;
  std::vector<draft_candidate> candidates;
  for (auto& who : running_) {
    if (!who->decodes())
      continue;
    const auto found = proposals.find(who->id());
    const bool is_asked = who->subject && who->subject->drafters.model;
    candidates.push_back({found == proposals.end() ? std::span<const draft_tree>{} : found->second->drafts,
                          who->n_draft_wished, &who->drafts, is_asked ? who->n_draft_wished : 0,
                          who->n_tokens() - who->n_in_draft_model, who->n_remaining(),
                          who->request.speculation.policy});
    asked.push_back(who.get());
  }
  const auto n_decoding = static_cast<int>(candidates.size());
  const auto n_asked = drafting_.n_asked_of_model(candidates, {n_decoding, n_decoding});
  for (std::size_t i = 0; i < asked.size(); ++i)
    if (n_asked[i] > 0)
      demand.wishes.push_back(model_wish_of(*asked[i], n_asked[i]));
  return demand;
}

draft_offer_ptr scheduler_core::with_model_drafts(const draft_offer_ptr& offer, const draft_offer& of_model) {
  auto all = offer ? std::make_shared<draft_offer>(*offer) : std::make_shared<draft_offer>();
  for (const auto& proposal : of_model.proposals) {
    auto* who = find_running(proposal.id);
    if (!who)
      continue;
    who->n_known_to_draft_model = proposal.n_known;
    who->n_in_draft_model = proposal.n_known - proposal.n_behind;
    who->n_asked_of_model = proposal.n_behind == 0 ? who->n_wished_of_model : 0;
    const auto found = std::ranges::find(all->proposals, proposal.id, &draft_proposal::id);
    if (found == all->proposals.end())
      all->proposals.push_back({proposal.id, proposal.drafts, who->n_known_to_drafter});
    else
      found->drafts.insert(found->drafts.end(), proposal.drafts.begin(), proposal.drafts.end());
  }
  if (!of_model.known_passes.empty())
    drafting_.model_measured(of_model.known_passes);
  if (of_model.pass.n_rows > 0)
    drafting_.model_took(of_model.pass);
  return all;
}

draft_wish scheduler_core::model_wish_of(sequence& who, int n_asked) {
  who.n_wished_of_model = n_asked;
  const int offset = std::min(who.n_known_to_draft_model, who.n_tokens());
  return {who.id(), offset, {who.tokens.begin() + offset, who.tokens.end()}, n_asked, who.subject, {}};
}

draft_offer_ptr scheduler_core::fitting(draft_offer_ptr offer) {
  if (std::ranges::none_of(running_, [](const auto& who) { return who->grammar.has_value(); }))
    return offer;
  auto fitted = offer ? std::make_shared<draft_offer>(*offer) : std::make_shared<draft_offer>();
  for (const auto& who : running_) {
    if (!who->grammar || !who->decodes())
      continue;
    auto found = std::ranges::find(fitted->proposals, who->id(), &draft_proposal::id);
    if (found == fitted->proposals.end())
      found = fitted->proposals.insert(found, {who->id(), {}, who->n_known_to_drafter});
    for (auto& draft : found->drafts)
      draft = cut_by_grammar(draft, *who->grammar);
    if (who->subject && who->n_draft_wished > 0)
      found->drafts.push_back(forced_draft(*vocabulary_, *who->grammar, who->n_draft_wished));
    std::erase_if(found->drafts, [](const draft_tree& draft) { return draft.nodes.empty(); });
  }
  return fitted;
}

scheduler_core::proposals_by_sequence scheduler_core::proposals_of(const draft_offer_ptr& offer) {
  proposals_by_sequence proposals;
  if (offer)
    for (const auto& proposal : offer->proposals)
      proposals[proposal.id] = &proposal;
  return proposals;
}

std::vector<scheduler_core::planned_draft> scheduler_core::plan_drafts() {
  const auto proposals = proposals_of(offer_);
  std::vector<planned_draft> drafts;
  int n_prefill_rows = 0;
  for (auto& who : running_) {
    if (!can_compute(*who))
      continue;
    if (who->decodes())
      drafts.push_back({who.get()});
    else if (!tier_.loads(who->id()))
      n_prefill_rows += std::min(who->n_pending(), config_.prefill_chunk);
  }
  const int n_decoding = static_cast<int>(drafts.size());
  int room = std::max(0, config_.max_batch_tokens - n_decoding);
  std::vector<draft_candidate> candidates;
  for (auto& draft : drafts) {
    auto& candidate = candidates.emplace_back();
    candidate.record = &draft.who->drafts;
    candidate.policy = draft.who->request.speculation.policy;
    const auto found = proposals.find(draft.who->id());
    if (found == proposals.end())
      continue;
    draft.who->n_known_to_drafter = found->second->n_known;
    candidate.drafts = draft.proposals = found->second->drafts;
    candidate.n_most = std::min(room, n_that_fit(*draft.who, draft.proposals));
    room -= candidate.n_most;
  }
  const int n_rows = std::min(n_decoding + n_prefill_rows, config_.max_batch_tokens);
  const auto choices = drafting_.choose(candidates, {n_rows, n_decoding});
  for (std::size_t i = 0; i < drafts.size(); ++i)
    if (choices[i].n_tokens > 0) {
      drafts[i].draft = &drafts[i].proposals[static_cast<std::size_t>(choices[i].which)];
      drafts[i].n_tokens = choices[i].n_tokens;
    }
  fit_scratch_pages(drafts);
  return drafts;
}

void scheduler_core::fit_scratch_pages(std::vector<planned_draft>& drafts) {
  int n_left = n_scratch_pages;
  for (auto& draft : drafts) {
    int n_taken = draft.n_scratch();
    for (; n_taken > n_left; n_taken = draft.n_scratch())
      --draft.n_tokens;
    n_left -= n_taken;
  }
}

std::vector<int> scheduler_core::planned_draft::parents() const {
  std::vector<int> all;
  bool is_chain = true;
  for (int i = 0; i < n_tokens; ++i) {
    all.push_back(draft->nodes[static_cast<std::size_t>(i)].parent);
    is_chain = is_chain && all.back() == i - 1;
  }
  return is_chain ? std::vector<int>{} : all;
}

int scheduler_core::planned_draft::n_scratch() const {
  const auto drafted = parents();
  if (drafted.empty())
    return 0;
  std::vector<int> rows{-1}; // that of the last committed token
  for (const int parent : drafted)
    rows.push_back(parent + 1);
  return tree_lines{rows, who->n_computed - who->n_dropped}.n_scratch_pages();
}

void scheduler_core::plan_tier(step_plan& step) {
  tier_.plan(step, [&](sequence_id id) {
    const auto* who = find_running(id);
    return std::span<const page_id>(who->pages)
        .subspan(static_cast<std::size_t>(who->n_computed / page_tokens));
  });
}

void scheduler_core::hold_back_suspects() {
  held_back_.clear();
  if (suspects_.empty())
    return;
  std::vector<sequence_id> wanting;
  for (const auto& who : running_)
    if (who->has_room() && !tier_.loads(who->id()))
      wanting.push_back(who->id());
  held_back_.insert(wanting.begin(), wanting.end());
  for (const auto id : suspects_.admitted(wanting))
    held_back_.erase(id);
  nothing_happened_ = nothing_happened_ && held_back_.empty();
}

void scheduler_core::choose_who_sits_out() {
  std::vector<running_request> running;
  for (const auto& who : running_)
    if (who->has_room() && !tier_.loads(who->id()) && !held_back_.contains(who->id()))
      running.push_back(running_view_of(*who));
  const auto sitting_out = scheduling_->sits_out(running);
  const std::unordered_set<sequence_id> sits_out{sitting_out.begin(), sitting_out.end()};
  for (const auto& who : running_)
    who->n_sat_out = sits_out.contains(who->id()) ? who->n_sat_out + 1 : 0;
}

/// Of those whose prompts are under way: who has no rows in this step although somebody later has.
void scheduler_core::count_passed_over() {
  std::unordered_set<sequence_id> planned;
  for (const auto& rows : planned_)
    planned.insert(rows.id);
  bool later_has = false;
  for (auto who = running_.rbegin(); who != running_.rend(); ++who) {
    if ((*who)->decodes() || tier_.loads((*who)->id()))
      continue;
    const bool has = planned.contains((*who)->id());
    (*who)->n_passed_over += !has && later_has ? 1 : 0;
    later_has |= has;
  }
}

void scheduler_core::apply_reservations(const kv_supply& supply) {
  bool short_of_pages = false;
  for (std::size_t i = 0; i < reserved_.size() && i < supply.reservations.size(); ++i) {
    auto* who = find_running(reserved_[i]);
    if (!who)
      continue;
    const auto& grant = supply.reservations[i];
    who->pages = grant.pages;
    who->n_dropped = grant.n_dropped;
    who->sinks = grant.sinks;
    tier_.computed(who->id(), who->pages, who->n_dropped == 0 ? who->n_published_pages : 0);
    // Without pages for its draft a sequence goes on without; without one for its own token somebody must
    // yield.
    short_of_pages |= !grant.granted && !who->has_room();
  }
  if (short_of_pages && !tier_.release_lingering() && !running_.empty())
    preempt(std::prev(running_.end()));
}

void scheduler_core::apply_openings(const kv_supply& supply, steady_time now) {
  std::optional<sequence_id> refused; // the first one
  for (std::size_t i = 0; i < opened_.size() && i < supply.openings.size(); ++i) {
    const auto& grant = supply.openings[i];
    const auto found = place_of_waiting(opened_[i]);
    if (found == waiting_.end()) { // cancelled while the kv manager worked
      if (grant.granted)
        endings_.push_back(opened_[i]);
      continue;
    }
    if (grant.postponed)
      continue;
    if (!grant.granted) {
      starved_ = true;
      tier_.release_lingering();
      if (!refused)
        refused = opened_[i];
      continue;
    }
    std::for_each(waiting_.begin(), found, [](auto& earlier) { ++earlier->n_passed_over; });
    auto who = std::move(*found);
    waiting_.erase(found);
    scheduling_->admitted(who->request.tenant);
    begin_behind_cached(*who, grant);
    if (!who->ever_admitted) {
      who->ever_admitted = true;
      who->admitted_at = now;
      who->usage.queue_ms = ms_between(who->request.arrival, now);
      who->usage.n_cached_tokens = std::min(who->n_computed, who->n_prompt);
    }
    running_.push_back(std::move(who));
    nothing_happened_ = false;
  }
  opened_.clear();
  // With nobody running and nothing about to be released, a refusal is final.
  if (refused && running_.empty() && endings_.empty() && !tier_.has_work())
    give_up(*refused, now);
}

void scheduler_core::begin_behind_cached(sequence& who, const kv_grant& grant) {
  who.pages = grant.pages;
  who.n_computed = grant.n_cached_tokens;
  who.partial = grant.partial;
  const int n_found_pages = grant.n_cached_tokens / page_tokens;
  if (tier_.open({who.id(), salt_of(who), findable_tokens(who), who.pages, n_found_pages,
                  grant.n_worthy_pages, who.request.ships_to})) {
    // Whole pages from the files go before a part of one in memory.
    who.n_computed = n_found_pages * page_tokens;
    who.partial = -1;
  }
  who.n_charged = std::max(who.n_charged, who.n_computed);
  who.n_published_pages = n_found_pages;
}

void scheduler_core::apply_answers(const kv_supply& supply) {
  for (std::size_t i = 0; i < asked_.size() && i < supply.n_found_tokens.size(); ++i)
    if (auto* who = find_waiting(asked_[i])) {
      const int n_found = supply.n_found_tokens[i];
      // To load a page takes far less than to compute it, so it counts as found.
      who->n_cached_estimate = n_found + tier_.n_stored_tokens(salt_of(*who), findable_tokens(*who), n_found);
    }
  asked_.clear();
}

std::vector<sequence*> scheduler_core::prefilling() const {
  std::vector<waiting_request> views;
  std::unordered_map<sequence_id, sequence*> by_id;
  for (const auto& who : running_)
    if (!who->decodes() && !tier_.loads(who->id())) {
      views.push_back(view_of(*who, views.size(), who->n_pending(), 0));
      by_id[who->id()] = who.get();
    }
  std::vector<sequence*> order;
  for (const auto id : scheduling_->order(views))
    order.push_back(by_id.at(id));
  return order;
}

void scheduler_core::give_up(sequence_id waiting, steady_time now) {
  const auto found = place_of_waiting(waiting);
  auto who = std::move(*found);
  waiting_.erase(found);
  starved_ = false;
  who->request.reply->fail({503, "kv_pool_exhausted", "The request does not fit into the KV pool.", "", 1});
  retire(*who, "error", now);
}

void scheduler_core::preempt(std::vector<sequence_ptr>::iterator one) {
  auto who = std::move(*one);
  running_.erase(one);
  tier_.forget(who->id());
  nothing_happened_ = false;
  if (config_.prefix_cache && who->n_dropped == 0) {
    last_publications_.push_back(publication_of(*who));
    who->n_cached_estimate = who->n_computed / page_tokens * page_tokens;
  }
  endings_.push_back(who->id());
  who->lose_kv();
  waiting_.push_front(std::move(who));
  starved_ = true;
}

planned_sequence scheduler_core::rows_of(const sequence& who, int n_committed_rows,
                                         const planned_draft& draft) const {
  planned_sequence rows;
  rows.id = who.id();
  rows.pages = who.pages;
  rows.first_position = who.n_computed;
  rows.n_dropped = who.n_dropped;
  if (who.partial >= 0)
    rows.turns.push_back({who.partial,
                          who.pages[static_cast<std::size_t>((who.n_computed - who.n_dropped) / page_tokens)],
                          0});
  if (who.n_turned != who.n_dropped)
    for (std::size_t i = 0; i < who.sinks.size(); ++i)
      rows.turns.push_back({who.sinks[i], who.pages[i], who.n_dropped});
  const auto first = who.tokens.begin() + who.n_computed;
  rows.tokens.assign(first, first + n_committed_rows);
  const auto drafted = draft.tokens();
  rows.tokens.insert(rows.tokens.end(), drafted.begin(), drafted.end());
  rows.n_draft = draft.n_tokens;
  rows.draft_parents = draft.parents();
  rows.samples = n_committed_rows == who.n_pending();
  rows.n_output = who.n_output();
  rows.n_successors = rows.samples ? who.n_successors : 0;
  rows.acceptance = who.request.speculation.acceptance;
  rows.sampling = who.request.sampling;
  if (rows.samples)
    rows.grammar = who.grammar;
  if (who.counts && rows.samples)
    rows.counts = std::make_shared<const token_counts>(*who.counts);
  return rows;
}

void scheduler_core::commit(const step_result& result, steady_time now) {
  n_failed_steps_ = 0;
  suspects_.survived(planned_ids());
  if (report_.n_rows > 0)
    drafting_.step_took({report_.n_rows, result.forward_us + result.sampling_us});
  report_.forward_us = result.forward_us;
  report_.sampling_us = result.sampling_us;
  for (const auto& [id, n_pages] : tier_.commit(result.saved)) {
    auto* who = find_running(id);
    if (who->n_output() == 0 && who->n_computed == who->usage.n_cached_tokens) // before its first row
      who->usage.n_cached_tokens += n_pages * page_tokens;
    who->n_computed += n_pages * page_tokens;
    who->n_charged = std::max(who->n_charged, who->n_computed);
  }
  for (std::size_t i = 0; i < planned_.size() && i < result.outcomes.size(); ++i) {
    auto* who = find_running(planned_[i].id);
    if (!who)
      continue;
    const auto& outcome = result.outcomes[i];
    who->n_computed += planned_[i].n_committed_rows + outcome.n_accepted;
    who->n_turned = who->n_dropped;
    who->partial = -1;
    if (who->n_computed > who->n_charged) {
      scheduling_->served(who->request.tenant, who->n_computed - who->n_charged);
      who->n_charged = who->n_computed;
    }
    judge_drafts(*who, planned_[i], outcome);
    if (outcome.grammar_failed)
      fail(*who,
           {400, "grammar_too_complex",
            "The answer's grammar has too many ways to go on after what was said.", "", 0},
           now);
    else if (!outcome.tokens.empty())
      append(*who, planned_[i], outcome, now);
    note_share(*who, report_.shares[i], outcome, now);
  }
  sweep();
}

void scheduler_core::judge_drafts(sequence& who, const planned_rows& planned,
                                  const sequence_outcome& outcome) {
  if (planned.n_draft > 0)
    report_.drafts.push_back({planned.drafter(), planned.n_draft, outcome.n_accepted});
  report_.n_accepted += outcome.n_accepted;
  who.usage.n_drafted_tokens += planned.n_draft;
  who.usage.n_accepted_tokens += outcome.n_accepted;
  for (const auto& draft : planned.proposals)
    drafting_.observe(draft, outcome.tokens, who.drafts);
  if (who.n_asked_of_model > 0) {
    const auto of_model =
        std::ranges::find(planned.proposals, token_origin::draft_model, &draft_tree::origin);
    drafting_.observe_model(who.n_asked_of_model,
                            of_model == planned.proposals.end() ? draft_tree{} : *of_model, outcome.tokens,
                            who.drafts);
  }
  who.keep_successors(outcome.successors);
}

void scheduler_core::note_share(sequence& who, step_share& share, const sequence_outcome& outcome,
                                steady_time now) {
  share.n_accepted = outcome.n_accepted;
  share.n_made = who.n_output() - share.n_output;
  share.n_output = who.n_output();
  if (share.n_made == 0)
    return;
  if (who.last_token_at)
    share.gap_ms = ms_between(*who.last_token_at, now);
  who.last_token_at = now;
}

step_trace scheduler_core::trace_of(const planned_rows& planned, const sequence_outcome& outcome) const {
  return {report_.n_rows, planned.n_draft, outcome.n_accepted, planned.drafter(),
          (report_.forward_us + report_.sampling_us) / 1000};
}

bool scheduler_core::read_by_grammar(sequence& who, token_id token) {
  if (who.grammar)
    who.grammar = who.grammar->after(token);
  return !who.request.grammar || who.grammar;
}

std::optional<finish_reason> scheduler_core::append(sequence& who, generated_token token,
                                                    generation_delta& delta) {
  const auto& sampling = *who.request.sampling;
  who.tokens.push_back(token.id);
  ++report_.n_output_tokens;
  if (who.counts)
    ++who.counts->output[token.id];
  if (who.thought)
    who.thought->read(token.id);
  if (ends_text(token.id, vocabulary_->end_tokens(), sampling))
    return finish_reason::stop;
  token.bytes = std::string{vocabulary_->piece(token.id)};
  token.text = who.text.push(token.id);
  delta.tokens.push_back(std::move(token));
  if (who.text.stopped() || (who.grammar && who.grammar->is_over()))
    return finish_reason::stop;
  if (who.n_output() >= sampling.max_tokens)
    return finish_reason::length;
  return std::nullopt;
}

std::optional<finish_reason> scheduler_core::close_thought(sequence& who, generation_delta& delta) {
  std::optional<finish_reason> end;
  for (const auto token : who.thought->marks().closing) {
    if (end)
      break;
    generated_token said;
    said.id = token;
    said.origin = token_origin::forced;
    end = append(who, std::move(said), delta);
  }
  return end;
}

bool scheduler_core::append(sequence& who, const planned_rows& planned, const sequence_outcome& outcome,
                            steady_time now) {
  if (!std::exchange(who.ever_sampled, true)) {
    who.first_token_at = now;
    who.usage.prefill_ms = ms_between(who.admitted_at, now);
  } else {
    ++who.usage.n_steps;
  }
  generation_delta delta;
  if (who.request.trace)
    delta.step = trace_of(planned, outcome);
  std::optional<finish_reason> end;
  for (std::size_t i = 0; i < outcome.tokens.size() && !end && !who.thinks_too_long(); ++i) {
    generated_token made;
    made.id = outcome.tokens[i];
    if (!ends_text(made.id, vocabulary_->end_tokens(), *who.request.sampling) &&
        !read_by_grammar(who, made.id)) {
      fail(who, {500, "grammar_stuck", "No token of the vocabulary fits the answer's grammar here.", "", 0},
           now);
      return false;
    }
    made.origin = static_cast<int>(i) < outcome.n_accepted ? planned.drafter() : token_origin::model;
    if (i < outcome.logprobs.size())
      made.logprobs = outcome.logprobs[i];
    end = append(who, std::move(made), delta);
  }
  if (!end && who.thinks_too_long()) {
    // Of the rows that were computed, those behind the thought's end are not the text's.
    who.n_computed = std::min(who.n_computed, who.n_tokens());
    end = close_thought(who, delta);
  }
  who.n_computed = std::min(who.n_computed, who.n_tokens() - 1);
  who.usage.n_output_tokens = who.n_output();
  who.usage.n_thought_tokens = who.thought ? who.thought->n_tokens() : 0;
  if (end && !who.text.stopped()) {
    delta.tail = who.text.flush();
    if (who.text.stopped()) // what was held back was a shorter stop string
      end = finish_reason::stop;
  }
  if (!delta.tokens.empty() || !delta.tail.empty() || delta.step)
    who.request.reply->delta(std::move(delta));
  if (end)
    finish(who, *end, now);
  return !end;
}

void scheduler_core::finish(sequence& who, finish_reason reason, steady_time now) {
  const bool publishes =
      config_.prefix_cache && who.n_dropped == 0 && who.n_computed / page_tokens > who.n_published_pages;
  const bool ships = std::exchange(who.request.ships_to, nullptr) != nullptr;
  if (ships && who.n_dropped == 0)
    tier_.computed(who.id(), who.pages, who.n_computed / page_tokens);
  const bool lingers = tier_.complete(who.id());
  if (!lingers)
    endings_.push_back(who.id());
  // The kv manager is told before the client: a client that sees the end may already ask again. But while
  // pages of its own are shipped, none of them is replaced by an equal one of the tree's.
  if (publishes && lingers && ships)
    held_publications_.emplace(who.id(), publication_of(who));
  else if (publishes)
    last_publications_.push_back(publication_of(who));
  ended_.insert(who.id());
  tell_end(who, reason, now);
}

void scheduler_core::tell_end(sequence& who, finish_reason reason, steady_time now) {
  if (who.ever_sampled)
    who.usage.decode_ms = ms_between(who.first_token_at, now);
  const generation_finished end{reason, who.text.matched_stop(), who.usage};
  who.request.reply->finish(end);
  retire(who, to_string(reason), now, reason == finish_reason::stop || reason == finish_reason::length);
}

void scheduler_core::fail(sequence& who, generation_failed why, steady_time now) {
  tier_.forget(who.id());
  endings_.push_back(who.id());
  ended_.insert(who.id());
  who.request.reply->fail(std::move(why));
  retire(who, "error", now);
}

void scheduler_core::retire(sequence& who, const std::string& outcome, steady_time now, bool is_answer) {
  suspects_.forget(who.id());
  if (who.subject)
    drafter_endings_.push_back(ending_of(who, is_answer));
  if (who.n_wished_of_model > 0)
    draft_model_endings_.push_back({who.id(), 0, {}, who.subject, false});
  const double ttft_ms = who.ever_sampled ? ms_between(who.request.arrival, who.first_token_at) : -1;
  const auto& asked = who.request;
  reports_.push_back(
      {outcome,
       who.usage,
       ttft_ms,
       ms_between(asked.arrival, now),
       first_asked_by(asked.id),
       asked.id,
       asked.tenant,
       {asked.arrival, asked.prepared, asked.looked_up, who.admitted_at, who.first_token_at, now}});
}

void scheduler_core::sweep() {
  std::erase_if(running_, [&](const sequence_ptr& who) { return ended_.contains(who->id()); });
  ended_.clear();
}

std::vector<sequence_id> scheduler_core::planned_ids() const {
  std::vector<sequence_id> ids;
  for (const auto& rows : planned_)
    ids.push_back(rows.id);
  return ids;
}

void scheduler_core::step_crashed(const std::string& why, steady_time now) {
  tier_.step_failed(++n_failed_steps_ == max_load_attempts);
  const auto step = planned_ids();
  const auto guilty = suspects_.crashed(step);
  for (const auto id : step)
    if (!find_running(id)) // it ended meanwhile
      suspects_.forget(id);
  for (const auto id : guilty)
    if (auto* who = find_running(id))
      fail(*who,
           {500, "step_failed",
            "The model failed " + std::to_string(max_crashes_alone) +
                " times on this request alone, so it is refused: " + why,
            "", 0},
           now);
  sweep();
}

void scheduler_core::step_lost() { tier_.step_failed(false); }

void scheduler_core::kv_lost() {
  last_publications_.clear();
  held_publications_.clear();
  tier_.forget_all();
  nothing_happened_ = false;
  // A grant or an outcome that is still on its way speaks of pages that are no longer ours.
  endings_.insert(endings_.end(), opened_.begin(), opened_.end());
  opened_.clear();
  reserved_.clear();
  asked_.clear();
  planned_.clear();
  while (!running_.empty()) {
    endings_.push_back(running_.back()->id()); // in case it was only slow and still holds them
    running_.back()->lose_kv();
    waiting_.push_front(std::move(running_.back()));
    running_.pop_back();
  }
  starved_ = false;
}

template <class F>
void scheduler_core::for_each_sequence(F f) {
  for (auto& who : running_)
    f(*who);
  for (auto& who : waiting_)
    f(*who);
}

void scheduler_core::drafter_lost() {
  for_each_sequence([](sequence& who) { who.n_known_to_drafter = 0; });
}

void scheduler_core::draft_model_lost() {
  draft_model_endings_.clear();
  for_each_sequence([](sequence& who) { who.n_known_to_draft_model = who.n_in_draft_model = 0; });
}

sequence* scheduler_core::find_running(sequence_id id) {
  if (ended_.contains(id))
    return nullptr;
  const auto i =
      std::find_if(running_.begin(), running_.end(), [&](const auto& who) { return who->id() == id; });
  return i == running_.end() ? nullptr : i->get();
}

std::deque<scheduler_core::sequence_ptr>::iterator scheduler_core::place_of_waiting(sequence_id id) {
  return std::ranges::find(waiting_, id, [](const auto& who) { return who->id(); });
}

sequence* scheduler_core::find_waiting(sequence_id id) {
  const auto i = place_of_waiting(id);
  return i == waiting_.end() ? nullptr : i->get();
}

std::vector<request_report> scheduler_core::take_reports() { return std::exchange(reports_, {}); }

} // namespace souffleur
