// The scheduler's core with the real kv manager, drafter and verifier around it, but no actors and no
// threads: random histories of arrivals, cancellations, deadlines, lost answers and replaced partners, each
// against what the model says alone. The list of planted bugs is at the property.
#include "actors/draft_book.hpp"
#include "actors/draft_step.hpp"
#include "actors/kv_step.hpp"
#include "actors/scheduler_core.hpp"
#include "actors/step_runner.hpp"
#include "tests/actors/answer_recorder.hpp"
#include "tests/actors/fake_grammars.hpp"
#include "tests/actors/fake_model.hpp"
#include "tests/actors/fake_text.hpp"
#include "tests/actors/fake_thoughts.hpp"
#include "tests/actors/scheduling_books.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <set>

namespace souffleur {
namespace {

using namespace souffleur::testing;
using std::chrono::milliseconds;

constexpr int max_prompt_tokens = 36;
constexpr int max_output = 24;
constexpr int min_pages = 6; ///< enough for the longest request alone, its drafts and one page more

/// When something happens: the round is begun, then planned, then committed.
enum moment { before_round, before_plan, before_commit, n_moments };

enum event_kind {
  arrival,
  quiet,
  cancelling,
  amending,
  hushing, ///< a thought is to end
  time_passes,
  kv_replaced,     ///< the supervisor says so, whatever answers are under way
  kv_late,         ///< the demand is carried out, but the scheduler has given up the answer
  drafter_gone,    ///< replaced by an empty one
  drafter_late,    ///< it has done its work, but its offer comes too late
  step_lost,       ///< the verifier died before it computed
  step_unanswered, ///< the model threw after it computed
  draft_model_gone,
  draft_model_late
};

struct event {
  event_kind kind = quiet;
  moment when = before_round;
  unsigned a = 0;
  unsigned b = 0;
};

[[maybe_unused]] std::ostream& operator<<(std::ostream& out, const event& e) {
  return out << "{" << e.kind << " at " << e.when << ", " << e.a << ", " << e.b << "}";
}

rc::Gen<event> any_event() {
  const auto any_number =
      rc::gen::resize(rc::kNominalSize, rc::gen::arbitrary<unsigned>()); // in short histories too
  const auto kind = rc::gen::weightedElement<event_kind>({{8, arrival},
                                                          {4, quiet},
                                                          {2, cancelling},
                                                          {2, amending},
                                                          {2, hushing},
                                                          {1, time_passes},
                                                          {1, kv_replaced},
                                                          {1, kv_late},
                                                          {1, drafter_gone},
                                                          {1, drafter_late},
                                                          {1, step_lost},
                                                          {1, step_unanswered},
                                                          {1, draft_model_gone},
                                                          {1, draft_model_late}});
  return rc::gen::build<event>(
      rc::gen::set(&event::kind, kind),
      rc::gen::set(&event::when, rc::gen::element(before_round, before_plan, before_commit)),
      rc::gen::set(&event::a, any_number), rc::gen::set(&event::b, any_number));
}

const std::string whimsical = "whimsical";

draft_book empty_book() { return {std::size_t{32} << 20, fake_vocabulary}; }

serving_config any_config() {
  serving_config config;
  config.n_kv_pages = *rc::gen::inRange(min_pages, 20);
  config.max_running = *rc::gen::inRange(1, 6);
  config.max_batch_tokens = config.max_running + *rc::gen::inRange(0, 30);
  config.prefill_chunk = *rc::gen::inRange(1, 30);
  config.join_prefill_tokens = *rc::gen::element(page_tokens, 4 * page_tokens);
  config.prefix_cache = *rc::gen::arbitrary<bool>();
  config.draft_policy = *rc::gen::element<std::string>("fixed", "adaptive", "off");
  config.drafter = *rc::gen::element<std::string>("auto", "prompt_lookup", "recycling", "draft_model", "off");
  config.has_draft_model = *rc::gen::arbitrary<bool>();
  config.max_draft = *rc::gen::inRange(0, 9);
  config.n_draft_branches = *rc::gen::inRange(1, 4);
  config.scheduling_policy = *rc::gen::element<std::string>("fcfs", "fcfs", "priority", "lpm", "deficit_lpm",
                                                            "deficit_lpm", "deadline", whimsical, whimsical);
  return config;
}

/// Prompts of three families, so that many share a prefix.
std::vector<token_id> prompt_of(unsigned number) {
  const int n_tokens = 1 + static_cast<int>(mixed(number) % max_prompt_tokens);
  const int n_common = static_cast<int>(mixed(number + 1) % (2 * max_prompt_tokens));
  std::vector<token_id> prompt;
  for (int i = 0; i < n_tokens; ++i) {
    const auto text = i < n_common ? number % 3 : number;
    prompt.push_back(static_cast<token_id>(mixed(text * 131 + static_cast<unsigned>(i)) % 30));
  }
  return prompt;
}

sampling_params sampling_of(unsigned number) {
  sampling_params sampling;
  sampling.temperature = std::array{0.0F, 0.5F, 1.0F}[number % 3];
  sampling.max_tokens = 1 + static_cast<int>(mixed(number + 2) % max_output);
  sampling.min_tokens = number % 5 == 0 ? sampling.max_tokens / 2 : 0;
  sampling.ignore_eos = number % 7 == 0;
  if (number % 4 == 0)
    sampling.frequency_penalty = 0.5F;
  if (number % 11 == 0)
    sampling.top_k = 4;
  sampling.n_logprobs = number % 6 == 0 ? 2 : -1;
  if (number % 5 < 2) // counts for who thinks
    sampling.max_thinking_tokens = static_cast<int>(number % 8);
  sampling.seed = mixed(number);
  if (number % 3 == 0) // never met, but every letter could begin one and is held back
    for (const char letter : fake_tokenizer::letters)
      sampling.stop.push_back(std::string{letter} + "?");
  return sampling;
}

constexpr int never = -2;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::size_t n_operations_of_a_long_life = 100'000;
#else
constexpr std::size_t n_operations_of_a_long_life = 1'000'000;
#endif

struct client {
  admitted_request request;
  std::shared_ptr<answer_recorder> recorder = std::make_shared<answer_recorder>();
  std::vector<token_id> expected;
  int last_planned = never; ///< number of the plan
  int n_plans_beside = 0;   ///< in which its prompt had rows, and somebody who had an output had rows, too
  bool cancelled = false;
  std::size_t hushed_at = std::size_t(-1); ///< tokens of the answer; all: never
  std::vector<token_id> untold;            ///< rows whose successors its drafter is to be told of
};

/// Where there is a draft model it is worth its time.
known_costs costs_of(const serving_config& config) {
  if (!config.has_draft_model)
    return {};
  return {{{1, 100}, {32, 131}}, {{1, 1e-3}, {8, 2e-3}}};
}

/// The scheduler's partners, and the law that every round is held to.
class simulation {
public:
  /// `trees`: every other draft is a tree of random tokens and right ones.
  explicit simulation(const serving_config& config, bool trees = false,
                      const std::optional<known_costs>& costs = {})
      : config_(config), offers_trees_(trees), model_(std::make_shared<fake_model>(config.n_kv_pages)),
        vocabulary_(std::make_shared<fake_tokenizer>()), runner_(model_, {fake_end}, "coupled"),
        books_(config, record_, [this](request_id id) { return known(id); }),
        core_(config, vocabulary_, witnessed_policy(), nullptr, costs.value_or(costs_of(config))) {
    new_kv();
    new_draft_model();
  }

  request_id admit(admitted_request request) {
    const request_id id = ++n_admitted_;
    client who;
    who.request = std::move(request);
    who.request.id = id;
    who.request.arrival = now_;
    who.request.most_tokens = max_output;
    who.expected = expected_of(who);
    RC_ASSERT(credits_->take(who.request.tenant) == admission::granted);
    who.request.reply = std::make_shared<reply_handle>(sink_of(who.recorder), credits_, who.request.tenant);
    who.request.reply->accepted({static_cast<int>(who.request.prompt.size()), who.request.sampling->seed});
    core_.admit(who.request);
    who.request.reply = nullptr;
    clients_.emplace(id, std::move(who));
    books_.arrived(id);
    return id;
  }

  int n_waiting() const { return core_.n_waiting(); }
  int n_prefill_rows() const { return n_prefill_rows_; }
  /// Steps that had rows of its prompt, and rows of somebody who had an output.
  int n_plans_beside(request_id id) const { return clients_.at(id).n_plans_beside; }
  recorded_answer answer(request_id id) const { return clients_.at(id).recorder->now(); }

  void round(const std::vector<event>& events) {
    happen(events, before_round);
    if (!core_.has_work())
      return;
    const int n_running = core_.n_running(), n_waiting = core_.n_waiting();
    auto demand = core_.begin_round(now_);
    n_operations_ += demand.kv.publications.size() + demand.kv.endings.size() +
                     demand.kv.reservations.size() + demand.kv.openings.size();
    books_.demanded(demand.kv, n_running, n_waiting, gives_places_);
    const int n_asked_of = core_.n_waiting();
    auto offer = has(events, drafter_late) ? (offer_for(demand.drafts), nullptr)
                                           : std::make_shared<const draft_offer>(offer_for(demand.drafts));
    const auto supply = carry_out(demand.kv, *kv_);
    RC_ASSERT(kv_->check_integrity() == "");
    const auto of_model =
        config_.has_draft_model ? model_drafts(core_.ask_draft_model(offer)) : draft_offer{};
    happen(events, before_plan);
    if (has(events, kv_late)) {
      kv_lost();
      return;
    }
    if (config_.has_draft_model && !has(events, draft_model_late))
      offer = core_.with_model_drafts(offer, of_model);
    auto plan = core_.plan(supply, offer, now_);
    books_.planned(demand.kv, supply, plan, n_asked_of, core_.n_running());
    check_occupancy();
    if (!plan)
      return;
    check(*plan);
    step(*plan, offer, events);
  }

  /// Lets everything end, with nothing more going wrong.
  void finish() {
    // A request alone takes at most a round a token, and preemption repeats some.
    const auto n_rounds_max = 200 * (clients_.size() + 1);
    for (std::size_t i = 0; i < n_rounds_max && core_.has_work(); ++i)
      round({});
    RC_ASSERT(!core_.has_work());
    RC_ASSERT(core_.n_running() == 0 && core_.n_waiting() == 0);
    const auto held = kv_->occupancy();
    RC_ASSERT(held.n_owned == 0 && held.n_pinned == 0);
    RC_ASSERT(book_.size() == 0U);
    RC_ASSERT((!draft_model_ || draft_model_->size() == 0U));
    forget_ended();
    RC_ASSERT(clients_.empty());
  }

  std::size_t n_operations() const { return n_operations_; }
  std::size_t n_model_drafts() const { return n_model_drafts_; }
  /// By the server, not by the model.
  int n_thoughts_closed() const { return n_thoughts_closed_; }
  int n_trees() const { return model_->n_trees; }
  int most_scratch_pages() const { return model_->most_scratch_pages; }
  /// How often something other than the main line stood.
  int n_kept_side_lines() const { return model_->n_kept_side_lines; }

  /// Checks the answers that are complete, and drops them.
  void forget_ended() {
    const auto n_ended = std::erase_if(clients_, [&](const auto& one) {
      if (one.second.recorder->ended()) {
        check(one.second);
        books_.forget(one.first);
      }
      return one.second.recorder->ended();
    });
    RC_ASSERT(core_.take_reports().size() == n_ended);
  }

private:
  static bool has(const std::vector<event>& events, event_kind kind) {
    return std::any_of(events.begin(), events.end(), [&](const event& e) { return e.kind == kind; });
  }

  void happen(const std::vector<event>& events, moment when) {
    for (const auto& e : events)
      if (e.when == when)
        happen(e);
  }

  void happen(const event& e) {
    ++n_operations_;
    switch (e.kind) {
    case arrival:
      admit(e);
      break;
    case cancelling:
      if (!clients_.empty()) {
        auto& [id, who] = *std::next(clients_.begin(), e.a % clients_.size());
        core_.cancel(id, now_);
        who.cancelled = true;
        RC_ASSERT(who.recorder->ended());
      }
      break;
    case amending:
      if (!clients_.empty())
        amend(std::next(clients_.begin(), e.a % clients_.size())->second,
              1 + static_cast<int>(e.b % max_output));
      break;
    case hushing:
      if (!clients_.empty())
        hush(std::next(clients_.begin(), e.a % clients_.size())->second);
      break;
    case time_passes:
      now_ += milliseconds{e.a % 40};
      core_.expire(now_);
      break;
    case kv_replaced:
      new_kv();
      kv_lost();
      break;
    case drafter_gone:
      book_ = empty_book();
      core_.drafter_lost();
      break;
    case draft_model_gone:
      new_draft_model();
      core_.draft_model_lost();
      break;
    default:
      break;
    }
  }

  static std::vector<token_id> expected_of(const client& who) {
    const auto& request = who.request;
    if (request.thoughts)
      return expected_output(request.prompt, *request.sampling, *request.thoughts, who.hushed_at);
    if (!request.grammar)
      return expected_output(request.prompt, *request.sampling);
    return expected_output(request.prompt, *request.sampling, grammar::grammar_cursor{request.grammar});
  }

  /// Those made already stand.
  void amend(client& who, int max_tokens) {
    if (who.recorder->ended())
      return;
    const auto n_made = static_cast<int>(who.recorder->now().tokens.size());
    core_.amend(who.request.id, {max_tokens, {}}, now_);
    RC_ASSERT(who.recorder->ended() == (n_made >= max_tokens));
    auto sampling = *who.request.sampling;
    sampling.max_tokens = std::max(max_tokens, n_made);
    who.request.sampling = std::make_shared<const sampling_params>(std::move(sampling));
    who.expected = expected_of(who);
  }

  /// A thought that has begun ends behind what was made, whatever a step under way brings; others at once.
  void hush(client& who) {
    if (who.recorder->ended())
      return;
    core_.amend(who.request.id, {{}, {}, true}, now_);
    who.hushed_at = std::min(who.hushed_at, who.recorder->now().tokens.size());
    who.expected = expected_of(who);
  }

  void admit(const event& e) {
    admitted_request request;
    request.tenant = e.b % 2 == 0 ? "a" : "b";
    request.prompt = prompt_of(e.a % 32);
    request.sampling = std::make_shared<const sampling_params>(sampling_of(e.b % 128));
    request.speculation.enabled = e.a % 5 != 0;
    request.speculation.policy = std::array{"", "fixed", "adaptive"}[e.b % 3];
    request.speculation.drafter = std::array{"", "", "suffix", "recycling", "prompt_lookup"}[e.b % 5];
    if (e.b % 4 == 0)
      request.speculation.max_draft = static_cast<int>(e.a % 5);
    if (e.b % 7 == 0)
      request.speculation.n_branches = 1 + static_cast<int>(e.a % 3);
    if (e.a % 7 == 0)
      request.prediction = request.prompt;
    if (mixed(e.b) % 3 == 0)
      request.grammar = fake_grammar(e.a % n_fake_grammars);
    else if (e.a % 4 != 0)
      request.thoughts = fake_thoughts();
    request.priority = static_cast<int>(e.b % 3);
    request.trace = e.a % 3 == 0;
    request.deadline = now_ + milliseconds{e.b % 8 == 0 ? 50 : 1'000'000};
    admit(std::move(request));
  }

  draft_offer offer_for(const draft_demand& demand) {
    for (const auto& wish : demand.wishes)
      check(wish);
    for (const auto& ending : demand.ended)
      check(ending);
    auto offer = book_.answer(demand);
    book_.conclude(demand);
    for (std::size_t i = 0; i < demand.wishes.size() && offers_trees_; ++i)
      if (const auto whim = mixed(++n_whims_); whim % 2 == 0)
        offer.proposals[i].drafts = {tree_for(demand.wishes[i], whim)};
    return offer;
  }

  /// What the request says counts, and the rest is the server's; the drafter is told of each row once.
  void check(const draft_wish& wish) {
    auto& who = clients_.at(wish.id);
    const auto& wanted = who.request.speculation;
    RC_ASSERT(wanted.enabled);
    RC_ASSERT(wish.n_max <= std::min(config_.max_draft, wanted.max_draft.value_or(config_.max_draft)));
    const auto& subject = *wish.subject;
    RC_ASSERT(subject.tenant == who.request.tenant);
    RC_ASSERT(subject.n_prompt == static_cast<int>(who.request.prompt.size()));
    const auto drafters = *drafters_named(wanted.drafter.empty() ? config_.drafter : wanted.drafter);
    RC_ASSERT((subject.drafters == drafters));
    RC_ASSERT(subject.n_branches == wanted.n_branches.value_or(config_.n_draft_branches));
    RC_ASSERT(subject.prediction == who.request.prediction);
    std::vector<token_id> told;
    for (const auto& row : wish.successors)
      told.push_back(row.token);
    const auto n_told = std::min(who.untold.size(), sequence::most_successors);
    RC_ASSERT(told == std::vector<token_id>(who.untold.end() - static_cast<std::ptrdiff_t>(n_told),
                                            who.untold.end()));
    who.untold.clear();
  }

  /// An answer is told of to its end.
  void check(const draft_ending& ending) const {
    const auto found = clients_.find(ending.id);
    if (found == clients_.end())
      return; // its end was checked and forgotten
    const auto answer = found->second.recorder->now();
    const bool is_answer = answer.finished && (answer.finished->reason == finish_reason::stop ||
                                               answer.finished->reason == finish_reason::length);
    RC_ASSERT(ending.is_answer == is_answer);
    if (is_answer)
      RC_ASSERT(ending.offset + ending.appended.size() ==
                found->second.request.prompt.size() + found->second.expected.size());
  }

  draft_offer model_drafts(const draft_demand& demand) {
    auto offer = carry_out(demand, *draft_model_);
    RC_ASSERT(draft_model_->check_integrity() == "");
    for (const auto& wish : demand.wishes) {
      RC_ASSERT(wish.subject->drafters.model);
      RC_ASSERT(wish.n_max <= config_.max_draft);
    }
    for (const auto& proposal : offer.proposals)
      for (const auto& draft : proposal.drafts)
        n_model_drafts_ += draft.nodes.size();
    return offer;
  }

  /// Of n_max tokens at most; those that follow a right one are right every other time.
  draft_tree tree_for(const draft_wish& wish, std::uint64_t whim) const {
    const auto& who = clients_.at(wish.id);
    const auto n_output = known(wish.id).tokens.size() - who.request.prompt.size();
    draft_tree tree{{}, 0, token_origin::answers};
    std::vector<std::size_t> n_right{n_output}; // tokens of the answer down to the node, from that before all
    for (int i = 0; i < wish.n_max; ++i) {
      whim = mixed(whim + 1);
      const auto parent = static_cast<int>(whim % (tree.nodes.size() + 1)) - 1;
      const auto next = n_right[static_cast<std::size_t>(parent + 1)];
      const bool is_right = next < who.expected.size() && whim / 64 % 4 != 0;
      const auto token = is_right ? who.expected[next] : static_cast<token_id>(whim / 256 % 30);
      if (std::ranges::any_of(tree.nodes, [&](const draft_node& node) {
            return node.parent == parent && node.token == token;
          }))
        continue;
      tree.nodes.push_back({token, parent, 0.5F});
      n_right.push_back(next < who.expected.size() && token == who.expected[next] ? next + 1
                                                                                  : who.expected.size());
    }
    return tree;
  }

  void step(const step_plan& plan, const draft_offer_ptr& offer, const std::vector<event>& events) {
    if (has(events, step_lost)) {
      happen(events, before_commit);
      core_.step_lost();
      return;
    }
    const auto result = runner_.run(plan);
    RC_ASSERT(model_->complaint() == "");
    is_plan_void_ = false;
    happen(events, before_commit);
    if (has(events, step_unanswered)) {
      core_.step_crashed("planted", now_);
      ++n_crashed_steps_;
    } else {
      books_.computed(plan, result);
      commit(plan, result, offer);
      books_.committed();
      check_draft_reports();
      check_shares(plan);
    }
  }

  void commit(const step_plan& plan, const step_result& result, const draft_offer_ptr& offer) {
    std::vector<recorded_answer> before;
    for (const auto& rows : plan.sequences)
      before.push_back(clients_.at(rows.id).recorder->now());
    core_.commit(result, now_);
    int n_rows = 0;
    for (const auto& rows : plan.sequences)
      n_rows += static_cast<int>(rows.tokens.size());
    for (std::size_t i = 0; i < plan.sequences.size(); ++i) {
      const auto& rows = plan.sequences[i];
      if (!is_plan_void_)
        for (const auto& row : result.outcomes[i].successors)
          clients_.at(rows.id).untold.push_back(row.token);
      check_told(rows, n_rows, result, result.outcomes[i], drafters_of(rows, offer), before[i]);
      note_forced(rows.id, before[i]);
    }
  }

  /// What a step forced comes last, and stands in place of what else it made.
  void note_forced(request_id id, const recorded_answer& before) {
    const auto now = clients_.at(id).recorder->now();
    const auto made = std::span{now.origins}.subspan(before.tokens.size());
    const auto first = std::ranges::find(made, token_origin::forced);
    if (first == made.end())
      return;
    ++n_thoughts_closed_;
    RC_ASSERT(std::ranges::all_of(std::span{first, made.end()},
                                  [](token_origin origin) { return origin == token_origin::forced; }));
    if (!is_plan_void_)
      books_.was_cut(id, static_cast<int>(clients_.at(id).request.prompt.size() + before.tokens.size()) +
                             static_cast<int>(first - made.begin()));
  }

  /// Those whose drafts begin as the rows do.
  std::set<token_origin> drafters_of(const planned_sequence& rows, const draft_offer_ptr& offer) const {
    if (rows.n_draft == 0)
      return {token_origin::model};
    std::set<token_origin> found;
    if (clients_.at(rows.id).request.grammar) { // drafts were cut, and one was added
      found.insert(token_origin::grammar);
      for (const auto& proposal : offer ? offer->proposals : std::vector<draft_proposal>{})
        for (const auto& draft : proposal.drafts)
          found.insert(draft.origin);
      return found;
    }
    const auto n = static_cast<std::size_t>(rows.n_draft);
    const auto drafted = std::span{rows.tokens}.last(n);
    for (const auto& draft : std::ranges::find(offer->proposals, rows.id, &draft_proposal::id)->drafts)
      if (draft.nodes.size() >= n &&
          std::ranges::equal(std::span{draft.nodes}.first(n), drafted, {}, &draft_node::token))
        found.insert(draft.origin);
    return found;
  }

  /// What a step tells of itself, to who asked for it, and who drafted which of its tokens.
  void check_told(const planned_sequence& rows, int n_rows, const step_result& result,
                  const sequence_outcome& outcome, const std::set<token_origin>& drafters,
                  const recorded_answer& before) const {
    const auto now = clients_.at(rows.id).recorder->now();
    const std::set<token_origin> only_model{token_origin::model};
    for (auto i = before.tokens.size(); i < now.tokens.size(); ++i) {
      if (now.origins[i] == token_origin::forced)
        break;
      const auto n_before = static_cast<int>(i - before.tokens.size());
      RC_ASSERT((n_before < outcome.n_accepted ? drafters : only_model).contains(now.origins[i]));
    }
    if (now.steps.size() == before.steps.size())
      return;
    RC_ASSERT(now.steps.size() == before.steps.size() + 1);
    const auto& step = now.steps.back();
    RC_ASSERT(step.n_rows == n_rows);
    RC_ASSERT(step.n_drafted == rows.n_draft);
    RC_ASSERT(step.n_accepted == outcome.n_accepted);
    RC_ASSERT(drafters.contains(step.drafter));
    RC_ASSERT(step.ms == (result.forward_us + result.sampling_us) / 1000);
  }

  /// Each drafted row is one drafter's; what the step drafted for a sequence that is gone is nobody's.
  void check_draft_reports() {
    const auto& step = core_.last_step();
    int n_drafted = 0;
    int n_accepted = 0;
    for (const auto& draft : step.drafts) {
      RC_ASSERT(draft.n_accepted <= draft.n_drafted);
      n_drafted += draft.n_drafted;
      n_accepted += draft.n_accepted;
    }
    RC_ASSERT(n_drafted <= step.n_draft_rows);
    RC_ASSERT(n_accepted == step.n_accepted);
  }

  /// The shares, one for each sequence of the step, are all of it; but what was computed for a sequence that
  /// is gone made nothing.
  void check_shares(const step_plan& plan) {
    const auto& step = core_.last_step();
    RC_ASSERT(step.shares.size() == plan.sequences.size());
    step_share sum;
    for (std::size_t i = 0; i < step.shares.size(); ++i) {
      const auto& share = step.shares[i];
      const auto& rows = plan.sequences[i];
      RC_ASSERT(share.id == rows.id);
      RC_ASSERT(share.n_computed == rows.first_position);
      RC_ASSERT(share.n_rows == static_cast<int>(rows.tokens.size()));
      RC_ASSERT(share.n_drafted == rows.n_draft);
      RC_ASSERT((share.gap_ms >= 0) == (share.n_made > 0 && share.n_output > share.n_made));
      sum.n_rows += share.n_rows;
      sum.n_drafted += share.n_drafted;
      sum.n_accepted += share.n_accepted;
      sum.n_made += share.n_made;
    }
    RC_ASSERT(sum.n_rows == step.n_rows);
    RC_ASSERT(sum.n_drafted == step.n_draft_rows);
    RC_ASSERT(sum.n_accepted == step.n_accepted);
    RC_ASSERT(sum.n_made == step.n_output_tokens);
  }

  void kv_lost() {
    is_plan_void_ = true;
    core_.kv_lost();
    books_.kv_lost();
  }

  std::unique_ptr<scheduling_policy> witnessed_policy() {
    auto policy = make_scheduling_policy(config_.scheduling_policy);
    if (!policy)
      policy = std::make_unique<whimsical_policy>(config_.max_batch_tokens);
    gives_places_ = policy->gives_places();
    return std::make_unique<policy_witness>(std::move(policy), record_);
  }

  known_request known(request_id id) const {
    const auto found = clients_.find(id);
    if (found == clients_.end())
      return {"", {}, false, true};
    const auto& who = found->second;
    const auto answer = who.recorder->now();
    known_request known{who.request.tenant, who.request.prompt, !answer.tokens.empty(), answer.n_ends > 0};
    known.tokens.insert(known.tokens.end(), answer.tokens.begin(), answer.tokens.end());
    return known;
  }

  void new_kv() { kv_ = std::make_unique<kv_manager>(config_.n_kv_pages, make_eviction_policy("lru")); }

  void new_draft_model() {
    if (config_.has_draft_model)
      draft_model_ = std::make_unique<model_drafter>(
          std::make_shared<fake_model>(8), fake_vocabulary, std::vector<token_id>{fake_end},
          make_eviction_policy("lru"), model_drafter_options{.least_probability = 0});
  }

  void check_occupancy() const {
    const auto held = kv_->occupancy();
    RC_ASSERT(held.n_free + held.n_cached + held.n_pinned + held.n_owned == held.n_total);
    RC_ASSERT(core_.n_running() <= config_.max_running);
  }

  void check(const step_plan& plan) {
    int n_rows = 0;
    ++n_plans_;
    for (const auto& rows : plan.sequences) {
      n_rows += static_cast<int>(rows.tokens.size());
      auto& who = clients_.at(rows.id);
      RC_ASSERT(!who.recorder->ended());
      RC_ASSERT(static_cast<int>(rows.tokens.size()) - rows.n_draft <= std::max(1, config_.prefill_chunk));
      RC_ASSERT(rows.n_draft <= config_.max_draft);
      if (!who.request.speculation.enabled)
        RC_ASSERT(rows.n_draft == 0);
      check_turn(rows.id);
      check_draft_fits(rows);
      who.last_planned = n_plans_;
    }
    const bool has_outputs =
        std::ranges::any_of(plan.sequences, [](const auto& rows) { return rows.n_output > 0; });
    for (const auto& rows : plan.sequences)
      if (rows.n_output == 0 && has_outputs)
        ++clients_.at(rows.id).n_plans_beside;
    RC_ASSERT(n_rows <= config_.max_batch_tokens);
    RC_ASSERT(n_rows == core_.last_step().n_rows);
    n_prefill_rows_ += core_.last_step().n_prefill_rows;
    RC_ASSERT(static_cast<int>(plan.sequences.size()) <= config_.max_running);
  }

  /// No row is spent on what a grammar forbids.
  void check_draft_fits(const planned_sequence& rows) const {
    const auto& who = clients_.at(rows.id);
    if (!who.request.grammar || rows.n_draft == 0)
      return;
    std::vector<grammar::grammar_cursor> cursors{grammar::grammar_cursor{who.request.grammar}};
    for (const auto token : who.recorder->now().tokens)
      cursors[0] = *cursors[0].after(token);
    const auto drafted = std::span{rows.tokens}.last(static_cast<std::size_t>(rows.n_draft));
    for (std::size_t i = 0; i < drafted.size(); ++i) {
      const auto parent =
          rows.draft_parents.empty() ? i : static_cast<std::size_t>(rows.draft_parents[i] + 1);
      const auto next = cursors[parent].after(drafted[i]);
      RC_ASSERT(next.has_value());
      cursors.push_back(*next);
    }
  }

  /// Nothing can follow all that was expected.
  static bool is_over(const client& who) {
    if (!who.request.grammar || who.expected.empty() || who.expected.back() == fake_end)
      return false;
    grammar::grammar_cursor cursor{who.request.grammar};
    for (const auto token : who.expected)
      cursor = *cursor.after(token);
    return cursor.is_over();
  }

  /// First come, first served: nobody computes for the first time while someone who came earlier waits, be it
  /// again, unless it may wait for its prefix. (A step may pass over somebody who is running and short of a
  /// page; and while it is looked for who makes the model throw, others do not compute.)
  void check_turn(request_id id) const {
    if (config_.scheduling_policy != "fcfs" || clients_.at(id).last_planned != never || n_crashed_steps_ > 0)
      return;
    for (const auto& [other, who] : clients_)
      RC_ASSERT((other >= id || who.last_planned >= n_plans_ - 1 || who.recorder->ended() ||
                 may_wait_for_its_prefix(other)));
  }

  /// Somebody else of its tenant has so much of it in common that it may be postponed.
  bool may_wait_for_its_prefix(request_id id) const {
    const auto own = known(id);
    return config_.prefix_cache && std::ranges::any_of(clients_, [&](const auto& one) {
             const auto theirs = known(one.first);
             const auto n_common = std::ranges::mismatch(own.tokens, theirs.tokens).in1 - own.tokens.begin();
             return one.first != id && theirs.tenant == own.tenant && n_common >= config_.join_prefill_tokens;
           });
  }

  void check(const client& who) const {
    const auto answer = who.recorder->now();
    RC_ASSERT(answer.n_ends == 1);
    RC_ASSERT(answer.breach == "");
    check_trace(who, answer);
    auto visible = who.expected;
    const bool stops = !visible.empty() && visible.back() == fake_end && !who.request.sampling->ignore_eos;
    if (stops)
      visible.pop_back();
    const auto reason = answer.finished ? answer.finished->reason : finish_reason::cancelled;
    if (reason == finish_reason::stop || reason == finish_reason::length) {
      RC_ASSERT(answer.tokens == visible);
      RC_ASSERT(answer.text == vocabulary_->decode(answer.tokens));
      RC_ASSERT(answer.finished->reason ==
                (stops || is_over(who) ? finish_reason::stop : finish_reason::length));
      RC_ASSERT(answer.finished->usage.n_output_tokens == static_cast<int>(who.expected.size()));
      return;
    }
    RC_ASSERT(answer.tokens.size() <= visible.size());
    RC_ASSERT(std::equal(answer.tokens.begin(), answer.tokens.end(), visible.begin()));
    if (answer.finished)
      check_early_end(who, *answer.finished, answer);
    else if (answer.failed->code == "step_failed")
      RC_ASSERT(n_crashed_steps_ >= 3);
    else
      RC_FAIL("an error without a cause: " + answer.failed->code);
  }

  /// Every step that brought a token is traced, be it the one that ends the answer; and nobody who did not
  /// ask is told.
  void check_trace(const client& who, const recorded_answer& answer) const {
    if (!who.request.trace) {
      RC_ASSERT(answer.steps.empty());
      return;
    }
    if (!answer.finished)
      return;
    const auto& usage = answer.finished->usage;
    int n_drafted = 0;
    int n_accepted = 0;
    for (const auto& step : answer.steps) {
      n_drafted += step.n_drafted;
      n_accepted += step.n_accepted;
    }
    RC_ASSERT(n_drafted == usage.n_drafted_tokens);
    RC_ASSERT(n_accepted == usage.n_accepted_tokens);
    RC_ASSERT(static_cast<int>(answer.steps.size()) == usage.n_steps + (usage.n_output_tokens > 0 ? 1 : 0));
  }

  /// It was cancelled or late; then it shows all that was made.
  void check_early_end(const client& who, const generation_finished& end,
                       const recorded_answer& answer) const {
    RC_ASSERT(end.usage.n_output_tokens == static_cast<int>(answer.tokens.size()));
    if (end.reason == finish_reason::cancelled) {
      RC_ASSERT(who.cancelled);
      return;
    }
    RC_ASSERT(who.request.deadline.at() <= now_);
    RC_ASSERT(answer.text == vocabulary_->decode(answer.tokens));
  }

  serving_config config_;
  bool offers_trees_;
  std::uint64_t n_whims_ = 0;
  int n_thoughts_closed_ = 0;
  std::shared_ptr<fake_model> model_;
  std::shared_ptr<const tokenizer> vocabulary_;
  std::shared_ptr<admission_credits> credits_ = std::make_shared<admission_credits>(1 << 20);
  std::unique_ptr<kv_manager> kv_;
  draft_book book_ = empty_book();
  std::unique_ptr<model_drafter> draft_model_; ///< null: there is none
  std::size_t n_model_drafts_ = 0;
  step_runner runner_;
  std::map<request_id, client> clients_;
  int n_crashed_steps_ = 0;
  bool is_plan_void_ = false; ///< the kv manager was lost while the step was computed
  int n_plans_ = 0;
  int n_prefill_rows_ = 0;
  request_id n_admitted_ = 0;
  std::size_t n_operations_ = 0;
  steady_time now_{};
  std::shared_ptr<policy_record> record_ = std::make_shared<policy_record>();
  bool gives_places_ = false;
  scheduling_books books_;
  scheduler_core core_;
};

/// Planted bugs that it caught: a page list not asked for again after a publication; a publication longer
/// than what is computed; rows beyond the budget, beyond the prefill chunk or beyond the pages; one sequence
/// too many; a preempted sequence that goes to the back; openings granted after a refusal; pages or drafts
/// that nobody ends; grants of a lost kv manager taken for good; penalties that do not see the output; a coin
/// thrown for the wrong position; min_tokens that does not see the draft; a cancelled or expired request that
/// nobody tells; who waits for a prefix that another tenant computes; nobody leaves a full batch; rows of
/// prompts given in order of admission; a policy that is told neither of admissions nor of what was served,
/// or of cached prefixes that are not there; the KV of who leaves the batch thrown away; who sits out has
/// rows, or sits out for good, or counts from before it was preempted; a step traced with rows, drafts or
/// times that were not its own, or unasked, or only if it shows a token; a token that is said to be
/// another's; wishes for drafts that leave out what the request says, or tell of a row twice or never; an
/// answer taken for none.
RC_GTEST_PROP(SchedulerCore, AnswersEveryRequestOnceAndAsTheModelAlone, ()) {
  const auto config = any_config();
  const auto some_events = rc::gen::resize(4, rc::gen::container<std::vector<event>>(any_event()));
  const auto rounds = *rc::gen::scale(3.0, rc::gen::container<std::vector<std::vector<event>>>(some_events));
  simulation world{config, *rc::gen::arbitrary<bool>()};
  for (const auto& events : rounds)
    world.round(events);
  world.finish();
}

serving_config crowded_config() {
  serving_config config;
  config.n_kv_pages = 24;
  config.max_running = 5;
  config.max_batch_tokens = 32;
  config.prefill_chunk = 20;
  config.join_prefill_tokens = page_tokens;
  config.scheduling_policy = "deficit_lpm";
  return config;
}

/// An answer is checked as soon as it is complete.
void live(simulation& world, std::size_t n_operations) {
  std::mt19937 random{20261124};
  const auto below = [&](unsigned n) { return static_cast<unsigned>(random() % n); };
  while (world.n_operations() < n_operations) {
    std::vector<event> events;
    for (auto n = below(4); n > 0; --n) {
      // What replaces a partner or loses a step is rare enough for the queue to move, and common enough to be
      // hit some thousand times.
      const auto dice = below(100);
      const auto kind = dice < 40   ? (world.n_waiting() < 40 ? arrival : quiet)
                        : dice < 47 ? cancelling
                        : dice < 49 ? amending
                        : dice < 51 ? hushing
                        : dice < 55 ? time_passes
                        : dice < 60 ? static_cast<event_kind>(kv_replaced + below(8))
                                    : quiet;
      events.push_back({kind, static_cast<moment>(below(n_moments)), static_cast<unsigned>(random()),
                        static_cast<unsigned>(random())});
    }
    world.round(events);
    world.forget_ended();
    if (below(200) == 0)
      world.finish(); // nothing may be left over then
  }
  world.finish();
}

/// One long life instead of many short ones: a million events and page operations. Planted bugs that it
/// caught: duplicates not freed at a publication; a grant that comes after the cancellation, never given
/// back.
TEST(SchedulerCore, LivesThroughAMillionOperations) {
  simulation world{crowded_config(), true};
  live(world, n_operations_of_a_long_life);
  EXPECT_GT(world.n_trees(), 1000);
  EXPECT_GT(world.n_kept_side_lines(), 300);
  EXPECT_GT(world.n_thoughts_closed(), 1000);
}

/// Planted bugs that it caught: who has ended is not told of; texts told with a gap; others than those that
/// the model drafts for asked about; drafts taken for who has left.
TEST(SchedulerCore, LivesThroughManyOperationsWithADraftModel) {
  auto config = crowded_config();
  config.has_draft_model = true;
  simulation world{config, true};
  live(world, n_operations_of_a_long_life / 4);
  EXPECT_GT(world.n_model_drafts(), 1000U);
}

/// Planted bug that it caught: no tokens taken from trees.
TEST(SchedulerCore, TheTreesOfAStepShareTheScratchPages) {
  serving_config config;
  config.n_kv_pages = 400;
  config.max_running = 40;
  config.max_batch_tokens = 1024;
  config.draft_policy = "fixed";
  config.max_draft = 30;
  constexpr unsigned long_answer = 91; // as sampling_of has it
  simulation world{config, true};
  for (unsigned i = 0; i < 400; i += 4)
    world.round({{arrival, before_round, 5 * i + 1, long_answer},
                 {arrival, before_round, 5 * i + 6, long_answer},
                 {arrival, before_round, 5 * i + 11, long_answer},
                 {arrival, before_round, 5 * i + 16, long_answer}});
  world.finish();
  EXPECT_GE(world.most_scratch_pages(), n_scratch_pages - 1);
}

admitted_request fair_request(const std::string& tenant, unsigned number) {
  admitted_request request;
  request.tenant = tenant;
  request.prompt = prompt_of(number);
  request.sampling = std::make_shared<const sampling_params>(sampling_of(number));
  request.deadline = steady_time::max();
  return request;
}

TEST(SchedulerCore, ARequestsOwnDraftPolicyDecidesForItAlone) {
  simulation world{{}, true, known_costs{{{1, 100}, {32, 3200}}, {}}}; // no draft is worth its rows
  std::vector<request_id> ids;
  for (const auto* policy : {"", "fixed", "adaptive"}) {
    auto request = fair_request("a", 91);
    request.speculation.policy = policy;
    ids.push_back(world.admit(std::move(request)));
  }
  const auto has_ended = [&](request_id id) { return world.answer(id).finished.has_value(); };
  while (!std::ranges::all_of(ids, has_ended))
    world.round({});
  const auto n_drafted = [&](std::size_t i) { return world.answer(ids[i]).finished->usage.n_drafted_tokens; };
  EXPECT_EQ(n_drafted(0), 0);
  EXPECT_GT(n_drafted(1), 10);
  EXPECT_EQ(n_drafted(2), 0);
  world.finish();
}

/// One tenant's queue, however long, delays another's single request by no more steps than the bound below:
/// it gets a place at once, then rows for its prompt at least in every second step, and only in every fifth
/// has anybody who had an output rows beside it. (If all that the other has in the batch is one request
/// without an output, that goes first, since it was first.) Planted bugs that it caught: nobody sits out;
/// nobody yields a place; nobody yields pages; tenants not told to the policy; the pages of who left never
/// ended.
RC_GTEST_PROP(SchedulerCore, ATenantsQueueDoesNotHoldUpAnothersSingleRequest, ()) {
  auto config = any_config();
  config.scheduling_policy = "deficit_lpm";
  config.prefix_cache = true;
  config.max_running = *rc::gen::inRange(2, 6);
  config.max_batch_tokens = config.max_running + *rc::gen::inRange(1, 30);
  config.prefill_chunk = *rc::gen::inRange(4, 30);
  config.n_kv_pages = *rc::gen::element(7, 10, 100);
  simulation world{config};
  const auto n_queued = *rc::gen::inRange(0U, 100U);
  for (unsigned i = 0; i < n_queued; ++i)
    world.admit(fair_request("many", i));
  const auto n_rounds_before = *rc::gen::inRange(0, 60);
  for (int i = 0; i < n_rounds_before; ++i)
    world.round({});
  const auto single = fair_request("one", *rc::gen::inRange(0U, 100U));
  const auto n_prompt = static_cast<int>(single.prompt.size());
  const auto id = world.admit(single);
  int n_rounds = 0;
  for (; world.answer(id).tokens.empty() && !world.answer(id).finished; ++n_rounds)
    world.round({});
  const int n_rows = std::min(config.prefill_chunk, config.max_batch_tokens - config.max_running + 1);
  const auto n_steps = [&](int n_tokens) { return (n_tokens + n_rows - 1) / n_rows; };
  RC_ASSERT(n_rounds <= 3 + 2 * n_steps(n_prompt) + n_steps(max_prompt_tokens));
  RC_ASSERT(world.n_plans_beside(id) <= 1 + n_steps(n_prompt) / (1 + max_sat_out));
  world.finish();
}

/// Whoever comes while a common prefix is being computed waits for it instead of computing it, too, also
/// those who come at the same moment; and nobody waits for longer. Planted bugs that it caught: nobody waits;
/// only those who come later do; who is postponed waits for an end, as if pages had been short; who is
/// postponed waits for one that decodes.
RC_GTEST_PROP(SchedulerCore, ComputesACommonPrefixOnce, ()) {
  auto config = any_config();
  config.prefix_cache = true;
  config.join_prefill_tokens = page_tokens;
  config.max_running = 16;
  config.prefill_chunk = *rc::gen::inRange(page_tokens, 60);
  config.max_batch_tokens = config.max_running + *rc::gen::inRange(page_tokens, 60);
  config.n_kv_pages = 400;
  simulation world{config};
  const auto n_common = *rc::gen::inRange(0, 200);
  const auto n_clients = *rc::gen::inRange(2, 10);
  int n_rows_most = n_common;
  for (int i = 0; i < n_clients; ++i) {
    auto request = fair_request("one", static_cast<unsigned>(i));
    const auto own = request.prompt;
    request.prompt.assign(static_cast<std::size_t>(n_common), 7);
    request.prompt.insert(request.prompt.end(), own.begin(), own.end());
    sampling_params sampling;
    sampling.max_tokens = 200;
    sampling.ignore_eos = true;
    request.sampling = std::make_shared<const sampling_params>(sampling);
    n_rows_most +=
        static_cast<int>(own.size()) + page_tokens; // the page in which they part is each one's own
    world.admit(request);
    if (*rc::gen::arbitrary<bool>())
      world.round({});
  }
  int n_rounds = 0;
  for (; world.n_waiting() > 0; ++n_rounds)
    world.round({});
  RC_ASSERT(n_rounds <= n_rows_most / page_tokens + 2 * n_clients);
  world.finish();
  RC_ASSERT(world.n_prefill_rows() <= n_rows_most);
}

/// More urgent requests with earlier deadlines, or with prefixes that are in the tree, keep coming; their
/// prompts alone could fill every step. Planted bugs that it caught: who is passed over for a place not
/// counted; who is passed over for rows not counted.
RC_GTEST_PROP(SchedulerCore, AFloodOfBetterRequestsDoesNotHoldUpOneForEver, ()) {
  auto config = any_config();
  config.scheduling_policy = *rc::gen::element<std::string>("lpm", "deficit_lpm", "deadline", "deadline");
  config.prefix_cache = true;
  config.n_kv_pages = 100;
  config.max_running = *rc::gen::inRange(1, 6);
  config.max_batch_tokens = config.max_running + *rc::gen::inRange(0, 10);
  config.prefill_chunk = max_prompt_tokens;
  const bool same_prefix = config.scheduling_policy != "deadline" || *rc::gen::element(false, false, true);
  simulation world{config};
  const auto ask = [&](unsigned number, bool better) {
    auto request = fair_request("a", number);
    auto sampling = sampling_of(number);
    sampling.max_tokens = 1;
    request.sampling = std::make_shared<const sampling_params>(sampling);
    request.prompt.assign(max_prompt_tokens, static_cast<token_id>(better && same_prefix ? 0 : number % 29));
    request.prompt.back() = static_cast<token_id>(number % 30);
    request.priority = better ? 1 : 0;
    return world.admit(std::move(request));
  };
  unsigned n_better = 0;
  const auto flood = [&] {
    while (world.n_waiting() < 2 * config.max_running)
      ask(++n_better, true);
    world.round({});
  };
  const auto n_rounds_before = *rc::gen::element(0, 0, 50);
  for (int i = 0; i < n_rounds_before; ++i)
    flood();
  const auto one = ask(28, false);
  if (*rc::gen::arbitrary<bool>())
    world.round({}); // with a quiet start it has a place already, when the flood comes
  // Once for a place and once for rows, it lets pass so many and those who run; each takes a step a token.
  const int n_rounds_max = 2 * (max_passed_over + config.max_running) * (max_prompt_tokens + 1);
  for (int i = 0; i < n_rounds_max && world.answer(one).n_ends == 0; ++i)
    flood();
  RC_ASSERT(world.answer(one).n_ends == 1);
}

} // namespace
} // namespace souffleur
