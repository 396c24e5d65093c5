// Continuous batching with chunked prefill: the scheduler without its mailbox.
#pragma once

#include "actors/messages/draft.hpp"
#include "actors/messages/kv.hpp"
#include "actors/messages/report.hpp"
#include "actors/messages/response_cache.hpp"
#include "actors/messages/step.hpp"
#include "actors/sequence.hpp"
#include "actors/serving_config.hpp"
#include "actors/tier_traffic.hpp"
#include "policies/crash_suspects.hpp"
#include "policies/mixed_draft_policy.hpp"
#include "policies/scheduling_policy.hpp"

#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <unordered_set>
#include <vector>

namespace souffleur {

/// A round is: begin_round → (kv manager, drafter) → plan → (verifier) → commit. At any time
/// requests may be admitted, cancelled or expire, also while a step is under way; what ended then costs
/// nothing in the next step.
///
/// Invariants: every admitted request ends exactly once through its reply handle; a step has at most
/// `max_batch_tokens` rows; every sequence that decodes has its row in every step (no stall by prefill),
/// unless the scheduling policy lets it sit out, or it is looked for who makes the model crash. That policy
/// decides besides who enters, whose prompt is computed first and who leaves a full batch.
///
/// Its sequences are the journal of what runs: prompt, parameters, seed and every token that was streamed.
/// Verifier, kv manager and drafters keep nothing that is not made again from it, and the token at a position
/// depends on seed, position and what stands before it alone; so whichever of them is replaced, a stream goes
/// on with the token after its last one.
class scheduler_core {
public:
  struct round {
    kv_demand kv;
    draft_demand drafts;
  };

  /// `scheduling` null: the policy that the configuration names. `tier` null: there is none. `costs`:
  /// what the model's steps take, for the draft policy.
  scheduler_core(const serving_config& config, std::shared_ptr<const tokenizer> vocabulary,
                 std::unique_ptr<scheduling_policy> scheduling = nullptr,
                 std::shared_ptr<page_tier> tier = nullptr, const known_costs& costs = {});

  void admit(admitted_request request);
  void cancel(request_id id, steady_time now);
  /// Of one whose new `max_tokens` are there already, this is the end. A thought that is to stop does so with
  /// the next step that is committed: what that sampled is dropped, and what closes the thought said instead.
  void amend(request_id id, const generation_change& change, steady_time now);
  /// Ends whatever is past its deadline, with what was made.
  void expire(steady_time now);
  bool has_work() const;
  /// Whether another round would be as idle as the last one, until something arrives from the file tier.
  bool waits_for_tier() const;
  tier_traffic& tier() { return tier_; }

  /// Expires deadlines and says what the round needs of the kv manager and the drafter.
  round begin_round(steady_time now);
  /// What the draft model is to be asked, beside what `offer` (null: nothing) has; no wishes if that does not
  /// pay.
  draft_demand ask_draft_model(const draft_offer_ptr& offer);
  /// `offer` (null: nothing) with the drafts of a model that was asked in this round.
  draft_offer_ptr with_model_drafts(const draft_offer_ptr& offer, const draft_offer& of_model);
  /// The step's rows, or nothing if nobody can run. `offer` is null if no drafter answered in time.
  std::optional<step_plan> plan(const kv_supply& supply, draft_offer_ptr offer, steady_time now);
  /// Appends what was sampled, streams it, ends what is complete.
  void commit(const step_result& result, steady_time now);
  /// The model threw: the step brought nothing. Its requests are tried again, apart from each other, until
  /// the one is found with which it always does; that ends with an error.
  void step_crashed(const std::string& why, steady_time now);
  /// The step brought nothing for reasons that have nothing to do with it. It is tried again.
  void step_lost();
  /// Crashes that requests were found guilty of, since the last call.
  int take_explained_crashes() { return suspects_.take_explained(); }
  /// The kv manager was replaced by an empty one, or is silent: whatever ran is computed again from its
  /// tokens, and the answers to the round under way are ignored.
  void kv_lost();
  /// The drafter was replaced: it is sent whole sequences again.
  void drafter_lost();
  /// So was the draft model.
  void draft_model_lost();

  std::vector<request_report> take_reports();
  const step_report& last_step() const { return report_; }
  int n_running() const { return static_cast<int>(running_.size()); }
  int n_waiting() const { return static_cast<int>(waiting_.size()); }

private:
  using sequence_ptr = std::unique_ptr<sequence>;
  using proposals_by_sequence = std::unordered_map<sequence_id, const draft_proposal*>;
  struct planned_rows {
    sequence_id id = 0;
    int n_committed_rows = 0;
    int n_draft = 0;
    const draft_tree* draft = nullptr;       ///< of proposals; null without one
    std::span<const draft_tree> proposals{}; ///< in offer_

    token_origin drafter() const { return draft ? draft->origin : token_origin::model; }
  };

  /// What a sequence that decodes is to verify in this step.
  struct planned_draft {
    sequence* who;
    std::span<const draft_tree> proposals{}; ///< of several drafters
    const draft_tree* draft = nullptr;       ///< one of them; null: none
    int n_tokens = 0;                        ///< that get rows, from its beginning

    std::vector<token_id> tokens() const {
      auto all = draft ? draft->tokens() : std::vector<token_id>{};
      all.resize(static_cast<std::size_t>(n_tokens));
      return all;
    }
    /// As planned_sequence has them.
    std::vector<int> parents() const;
    /// What its side branches take of n_scratch_pages.
    int n_scratch() const;
  };

  /// REQUIRES: it runs or waits.
  void end_early(sequence_id id, finish_reason reason, steady_time now);
  /// If the batch or the pool is full, somebody leaves for the next of the waiting where the policy says so.
  void make_place();
  void demand_of_running(round& demand);
  void demand_of_waiting(round& demand);
  kv_opening opening_of(const sequence& who) const;
  /// Whether a running sequence computes what the waiting one would compute, too. Copies no prompt: the
  /// postponed are asked about in every round.
  bool is_under_way(const sequence& waiting) const;
  void ask_about_waiting(kv_demand& demand);
  std::vector<waiting_request> views_of_waiting() const;
  draft_wish wish_of(sequence& who) const;
  static draft_wish model_wish_of(sequence& who, int n_asked);
  /// `offer` without what grammars forbid, and with what they leave no choice about.
  draft_offer_ptr fitting(draft_offer_ptr offer);
  static proposals_by_sequence proposals_of(const draft_offer_ptr& offer);
  /// Null if nobody drafts for it.
  std::shared_ptr<const draft_subject> subject_of(const sequence& who) const;
  draft_ending ending_of(const sequence& who, bool is_answer) const;
  void apply_reservations(const kv_supply& supply);
  /// All that decode and have room for their row, in the order of running_.
  std::vector<planned_draft> plan_drafts();
  /// Takes tokens from trees until all side branches have pages.
  static void fit_scratch_pages(std::vector<planned_draft>& drafts);
  void plan_tier(step_plan& step);
  /// Who has just got its pages begins behind what memory or, later, the files have of its prompt.
  void begin_behind_cached(sequence& who, const kv_grant& grant);
  void apply_openings(const kv_supply& supply, steady_time now);
  void apply_answers(const kv_supply& supply);
  /// Those that do not decode yet, in the order in which they get rows.
  std::vector<sequence*> prefilling() const;
  /// While it is looked for who makes the model crash.
  void hold_back_suspects();
  void choose_who_sits_out();
  /// Whether it has rows in the step that is being planned.
  bool can_compute(const sequence& who) const {
    return who.has_room() && who.n_sat_out == 0 && !held_back_.contains(who.id());
  }
  std::vector<sequence_id> planned_ids() const;
  void count_passed_over();
  /// Ends a waiting request that no free pool could hold.
  void give_up(sequence_id waiting, steady_time now);
  void preempt(std::vector<sequence_ptr>::iterator one);
  planned_sequence rows_of(const sequence& who, int n_committed_rows, const planned_draft& draft) const;
  /// Reads an output token with the sequence's grammar, if it has one. False: it does not fit.
  static bool read_by_grammar(sequence& who, token_id token);
  /// One more token of the answer, which `token.id` and `token.origin` name; what it is the end of, if of
  /// any.
  std::optional<finish_reason> append(sequence& who, generated_token token, generation_delta& delta);
  /// Says what ends the thought, as if the model had.
  std::optional<finish_reason> close_thought(sequence& who, generation_delta& delta);
  /// Returns false if the sequence ended.
  bool append(sequence& who, const planned_rows& planned, const sequence_outcome& outcome, steady_time now);
  static void note_share(sequence& who, step_share& share, const sequence_outcome& outcome, steady_time now);
  step_trace trace_of(const planned_rows& planned, const sequence_outcome& outcome) const;
  /// What the drafts for `who` were worth.
  void judge_drafts(sequence& who, const planned_rows& planned, const sequence_outcome& outcome);
  /// One of running_ is complete, or will not be.
  void finish(sequence& who, finish_reason reason, steady_time now);
  void tell_end(sequence& who, finish_reason reason, steady_time now);
  void fail(sequence& who, generation_failed why, steady_time now);
  void retire(sequence& who, const std::string& outcome, steady_time now, bool is_answer = false);
  void sweep();
  /// Those that run, then those that wait.
  template <class F>
  void for_each_sequence(F f);
  sequence* find_running(sequence_id id);
  std::deque<sequence_ptr>::iterator place_of_waiting(sequence_id id);
  sequence* find_waiting(sequence_id id);
  static kv_publication publication_of(const sequence& who);
  std::string salt_of(const sequence& who) const;

  serving_config config_;
  std::shared_ptr<const tokenizer> vocabulary_;
  std::unique_ptr<scheduling_policy> scheduling_;
  mixed_draft_policy drafting_;

  std::deque<sequence_ptr> waiting_;
  std::vector<sequence_ptr> running_;                                 ///< in order of admission
  std::unordered_set<sequence_id> ended_;                             ///< of running_, until swept
  std::vector<kv_publication> last_publications_;                     ///< of sequences that left running_
  std::unordered_map<sequence_id, kv_publication> held_publications_; ///< of those that linger
  std::vector<sequence_id> endings_;                                  ///< the kv manager is to release these
  std::vector<draft_ending> drafter_endings_;
  std::vector<draft_ending> draft_model_endings_;
  std::vector<sequence_id> opened_; ///< in this round's order
  std::vector<sequence_id> reserved_;
  std::vector<sequence_id> asked_;
  tier_traffic tier_;
  draft_offer_ptr offer_; ///< of the step under way; null without one
  std::vector<planned_rows> planned_;
  std::vector<request_report> reports_;
  step_report report_;
  bool starved_ = false;          ///< an opening was refused and nothing has ended since
  bool nothing_happened_ = false; ///< since the last round began, nor in it
  int n_failed_steps_ = 0;        ///< in a row
  crash_suspects suspects_;
  std::unordered_set<sequence_id> held_back_; ///< in the step that is planned: others are tried
  std::uint64_t n_rounds_ = 0;
};

} // namespace souffleur
