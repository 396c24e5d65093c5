// What a test knows of a scheduler's policy: a witness that takes down what passes between the two, and books
// kept from the messages alone, which hold the scheduler to what the policy said and the policy's view to the
// truth.
#pragma once

#include "actors/scheduler_core.hpp"
#include "policies/scheduling_policy.hpp"
#include "tests/actors/fake_model.hpp"

#include <rapidcheck.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace souffleur::testing {

/// Since the calls were last forgotten; the totals since ever.
struct policy_record {
  std::vector<std::vector<sequence_id>> orders;
  std::map<sequence_id, int> n_cached_tokens; ///< as the policy sees it
  std::vector<std::optional<sequence_id>> yields;
  std::vector<running_request> could_compute; ///< as the policy was last told
  std::set<sequence_id> sitting_out;
  std::map<std::string, int> n_admitted;
  std::map<std::string, int> n_served;

  void forget_calls() {
    orders.clear();
    n_cached_tokens.clear();
    yields.clear();
    could_compute.clear();
    sitting_out.clear();
  }
};

class policy_witness final : public scheduling_policy {
public:
  policy_witness(std::unique_ptr<scheduling_policy> policy, std::shared_ptr<policy_record> record)
      : policy_(std::move(policy)), record_(std::move(record)) {}

  std::string_view name() const override { return policy_->name(); }
  bool looks_at_prefixes() const override { return policy_->looks_at_prefixes(); }
  bool gives_places() const override { return policy_->gives_places(); }

  std::vector<sequence_id> order(std::span<const waiting_request> waiting) const override {
    see(waiting);
    return record_->orders.emplace_back(policy_->order(waiting));
  }
  sequence_id first(std::span<const waiting_request> waiting) const override {
    see(waiting);
    return policy_->first(waiting);
  }
  std::optional<sequence_id> yields(std::span<const running_request> running,
                                    const waiting_request& next) const override {
    return record_->yields.emplace_back(policy_->yields(running, next));
  }
  std::vector<sequence_id> sits_out(std::span<const running_request> running) const override {
    record_->could_compute.assign(running.begin(), running.end());
    const auto ids = policy_->sits_out(running);
    record_->sitting_out = {ids.begin(), ids.end()};
    return ids;
  }
  void admitted(std::string_view tenant) override {
    ++record_->n_admitted[std::string{tenant}];
    policy_->admitted(tenant);
  }
  void served(std::string_view tenant, int n_tokens) override {
    record_->n_served[std::string{tenant}] += n_tokens;
    policy_->served(tenant, n_tokens);
  }

private:
  void see(std::span<const waiting_request> waiting) const {
    for (const auto& request : waiting)
      record_->n_cached_tokens[request.id] = request.n_cached_tokens;
  }

  std::unique_ptr<scheduling_policy> policy_;
  std::shared_ptr<policy_record> record_;
};

/// An order for no reason. Everyone takes a place from somebody once, so that all end.
class whimsical_policy final : public scheduling_policy {
public:
  explicit whimsical_policy(std::uint64_t whim) : whim_(whim) {}
  std::string_view name() const override { return "whimsical"; }
  bool looks_at_prefixes() const override { return true; }
  bool gives_places() const override { return true; }

  std::vector<sequence_id> order(std::span<const waiting_request> waiting) const override {
    std::vector<sequence_id> ids;
    for (const auto& request : waiting)
      ids.push_back(request.id);
    std::ranges::sort(ids, {}, [&](sequence_id id) { return mixed(id + whim_); });
    return ids;
  }
  std::optional<sequence_id> yields(std::span<const running_request> running,
                                    const waiting_request& next) const override {
    if (running.empty() || !has_taken_.insert(next.id).second)
      return std::nullopt;
    return running[mixed(next.id + whim_) % running.size()].id;
  }
  std::vector<sequence_id> sits_out(std::span<const running_request> running) const override {
    std::vector<sequence_id> ids;
    for (const auto& request : running)
      if (request.id != running.front().id && request.n_sat_out < max_sat_out &&
          mixed(++n_asked_ + whim_) % 3 == 0)
        ids.push_back(request.id);
    return ids;
  }

private:
  std::uint64_t whim_;
  mutable std::uint64_t n_asked_ = 0;
  mutable std::set<sequence_id> has_taken_;
};

/// One request as its client knows it.
struct known_request {
  std::string tenant;
  std::vector<token_id> tokens; ///< prompt, and what was answered so far
  bool has_output = false;
  bool ended = false;
};

/// The laws: who has the least patience of the policy's order goes first, into the batch and there with the
/// rows of its prompt; the policy is asked for a place whenever batch or pool is full, and obeyed; who leaves
/// the batch leaves its KV to the tree; whoever can compute has rows unless the policy lets it sit out, and
/// for how long it has done so is known to the policy; the policy is told of every admission and of every
/// token that was computed for the first time, and of what each waiting request would find in the tree.
class scheduling_books {
public:
  using lookup = std::function<known_request(request_id)>;

  scheduling_books(const serving_config& config, std::shared_ptr<policy_record> record, lookup find)
      : config_(config), record_(std::move(record)), find_(std::move(find)) {}

  void arrived(sequence_id id) { accounts_[id]; }
  void forget(sequence_id id) { accounts_.erase(id); }

  void kv_lost() {
    in_doubt_ = true;
    pool_refused_ = false;
    expected_estimates_.clear();
    n_sat_out_.clear();
    for (auto& [id, account] : accounts_)
      account.n_computed = account.n_published_pages = 0;
  }

  /// After begin_round(). The numbers are those before.
  void demanded(const kv_demand& demand, int n_running, int n_waiting, bool gives_places) {
    in_doubt_ = false;
    check_place(demand, n_running, n_waiting, gives_places);
    for (const auto& publication : demand.publications)
      if (accounts_.contains(publication.id))
        accounts_[publication.id].n_published_pages =
            (publication.n_before + static_cast<int>(publication.tokens.size())) / page_tokens;
    for (const auto id : demand.endings)
      check_ending(id);
    for (const auto& [id, n_cached] : record_->n_cached_tokens)
      if (const auto expected = expected_estimates_.find(id); expected != expected_estimates_.end())
        RC_ASSERT(n_cached == expected->second);
    std::vector<sequence_id> opened;
    for (const auto& opening : demand.openings)
      opened.push_back(opening.id);
    check_order(opened);
    record_->forget_calls();
    if (!accounts_.empty())
      latest_asked_ = accounts_.rbegin()->first;
  }

  /// After plan(). `n_asked_of` waited when the demand was made.
  void planned(const kv_demand& demand, const kv_supply& supply, const std::optional<step_plan>& plan,
               int n_asked_of, int n_running) {
    if (in_doubt_)
      return record_->forget_calls();
    pool_refused_ = false;
    for (const auto& grant : supply.openings)
      if (!find_(grant.id).ended && !grant.postponed)
        grant.granted ? note_admission(grant) : note_refusal(n_running);
    RC_ASSERT(record_->n_admitted == n_admitted_);
    std::vector<sequence_id> with_prompt_rows;
    if (plan)
      for (const auto& rows : plan->sequences)
        if (const auto n_committed = static_cast<int>(rows.tokens.size()) - rows.n_draft;
            rows.n_output == 0 || !rows.samples || n_committed > 1)
          with_prompt_rows.push_back(rows.id);
    check_order(with_prompt_rows);
    check_sitting_out(plan);
    note_answers(demand, supply, n_asked_of);
    record_->forget_calls();
  }

  /// Before commit().
  void computed(const step_plan& plan, const step_result& result) {
    for (std::size_t i = 0; i < plan.sequences.size() && !in_doubt_; ++i) {
      const auto& rows = plan.sequences[i];
      const auto known = find_(rows.id);
      if (known.ended)
        continue;
      auto& account = accounts_[rows.id];
      account.n_computed = rows.first_position + static_cast<int>(rows.tokens.size()) - rows.n_draft +
                           result.outcomes[i].n_accepted;
      if (account.n_computed > account.n_charged)
        n_served_[known.tenant] += account.n_computed - account.n_charged;
      account.n_charged = std::max(account.n_charged, account.n_computed);
    }
  }

  /// Within commit(), the text turned out not to go on behind so many tokens as was computed.
  void was_cut(sequence_id id, int n_tokens) {
    auto& account = accounts_[id];
    account.n_computed = std::min(account.n_computed, n_tokens);
  }

  /// After commit().
  void committed() const { RC_ASSERT(record_->n_served == n_served_); }

private:
  struct account {
    int n_computed = 0;
    int n_charged = 0;
    int n_published_pages = 0;
  };

  void check_place(const kv_demand& demand, int n_running, int n_waiting, bool gives_places) {
    const auto& asked = record_->yields;
    const auto leaves = asked.empty() ? std::nullopt : asked.front();
    const bool others_end = demand.endings.size() > (leaves ? 1U : 0U);
    pool_refused_ = pool_refused_ && !others_end;
    const bool full = n_running == config_.max_running || (pool_refused_ && n_running > 0);
    if (full && n_waiting > 0 && gives_places && config_.prefix_cache)
      RC_ASSERT(asked.size() == 1U);
    if (leaves)
      RC_ASSERT(std::ranges::count(demand.endings, *leaves) == 1);
  }

  void check_ending(sequence_id id) {
    if (!accounts_.contains(id))
      return;
    auto& account = accounts_[id];
    if (config_.prefix_cache && !find_(id).ended)
      RC_ASSERT(account.n_published_pages >= account.n_computed / page_tokens);
    account.n_computed = account.n_published_pages = 0;
    expected_estimates_.erase(id);
    n_sat_out_.erase(id);
  }

  void check_order(const std::vector<sequence_id>& served) const {
    if (served.empty())
      return;
    RC_ASSERT(record_->orders.size() == 1U);
    const auto& order = record_->orders.front();
    auto at = order.begin();
    for (const auto id : served) {
      at = std::find(at, order.end(), id);
      RC_ASSERT(at != order.end());
    }
  }

  void check_sitting_out(const std::optional<step_plan>& plan) {
    std::set<sequence_id> with_rows;
    if (plan)
      for (const auto& rows : plan->sequences)
        with_rows.insert(rows.id);
    RC_ASSERT(record_->could_compute.empty() == with_rows.empty());
    for (const auto id : with_rows)
      RC_ASSERT(std::ranges::count(record_->could_compute, id, &running_request::id) == 1);
    auto earlier = std::exchange(n_sat_out_, {});
    for (const auto& request : record_->could_compute) {
      const auto known = find_(request.id);
      const bool sits_out = record_->sitting_out.contains(request.id);
      const bool decodes =
          known.has_output && accounts_[request.id].n_computed == static_cast<int>(known.tokens.size()) - 1;
      RC_ASSERT(request.has_output == known.has_output);
      RC_ASSERT(request.n_sat_out == earlier[request.id]);
      if (sits_out)
        n_sat_out_[request.id] = earlier[request.id] + 1;
      if (sits_out || decodes)
        RC_ASSERT(with_rows.contains(request.id) == !sits_out);
    }
  }

  void note_admission(const kv_grant& grant) {
    ++n_admitted_[find_(grant.id).tenant];
    auto& account = accounts_[grant.id];
    account.n_computed = grant.n_cached_tokens;
    account.n_charged = std::max(account.n_charged, grant.n_cached_tokens);
    account.n_published_pages = grant.n_cached_tokens / page_tokens;
  }

  void note_refusal(int n_running) { pool_refused_ = n_running > 0; }

  /// Where all were asked about, the next order has to be by these answers.
  void note_answers(const kv_demand& demand, const kv_supply& supply, int n_asked_of) {
    expected_estimates_.clear();
    if (static_cast<int>(demand.questions.size()) != n_asked_of)
      return;
    for (const auto& [id, account] : accounts_) {
      const auto known = find_(id);
      for (std::size_t i = 0; i < demand.questions.size() && id <= latest_asked_ && !known.ended; ++i)
        if (demand.questions[i].salt == known.tenant && demand.questions[i].prompt == known.tokens)
          expected_estimates_[id] = supply.n_found_tokens[i];
    }
  }

  serving_config config_;
  std::shared_ptr<policy_record> record_;
  lookup find_;
  std::map<sequence_id, account> accounts_;
  std::map<sequence_id, int> n_sat_out_;          ///< in succession
  std::map<sequence_id, int> expected_estimates_; ///< of those that wait
  std::map<std::string, int> n_admitted_;
  std::map<std::string, int> n_served_;
  sequence_id latest_asked_ = 0;
  bool in_doubt_ = false;     ///< the round's answers are void
  bool pool_refused_ = false; ///< the pool had no room for an opening, and nobody has left since
};

} // namespace souffleur::testing
