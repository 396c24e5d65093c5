// One verifier step: forward pass, canonical pipeline, acceptance.
#pragma once

#include "actors/messages/step.hpp"
#include "engine/language_model.hpp"
#include "policies/acceptance_policy.hpp"

#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace souffleur {

/// Rows of logits for whoever verifies, as many as do so at once.
class scratch_rows {
public:
  /// Calls use(row), a span of `n` floats that is nobody else's meanwhile.
  template <class Use>
  void lend(std::size_t n, const Use& use) {
    auto row = take();
    row.resize(n);
    use(std::span{row});
    const std::lock_guard hold{mutex_};
    free_.push_back(std::move(row));
  }
  void give_back() { free_ = {}; }

private:
  std::vector<float> take() {
    const std::lock_guard hold{mutex_};
    if (free_.empty())
      return {};
    auto row = std::move(free_.back());
    free_.pop_back();
    return row;
  }

  std::mutex mutex_;
  std::vector<std::vector<float>> free_;
};

/// Keeps no state of any sequence; a step's result depends on the plan and the model's KV alone.
class step_runner {
public:
  /// `acceptance` decides rows with temperature > 0 whose plan names no other policy; greedy rows are decided
  /// greedily. `end_tokens` are what `min_tokens` forbids, with a request's own stop tokens. REQUIRES: names
  /// of policies are known ones, here and in plans.
  step_runner(std::shared_ptr<language_model> model, std::vector<token_id> end_tokens,
              const std::string& acceptance);

  step_result run(const step_plan& plan);
  /// Gives back the memory that only steps need.
  void rest();

private:
  saved_page save(const page_save& wish) const;
  std::string policy_name(const planned_sequence& rows) const;
  bool wants_choices(const planned_sequence& rows) const;
  void collect(const planned_sequence& rows);
  /// Of the sequences [first, first + outputs.size()) of `plan`, side by side.
  void verify(const step_plan& plan, std::size_t first, std::span<const row_outputs> outputs,
              std::vector<sequence_outcome>& outcomes);
  sequence_outcome verify(const planned_sequence& rows, const row_outputs& outputs,
                          std::span<float> scratch) const;

  std::shared_ptr<language_model> model_;
  std::vector<token_id> end_tokens_;
  std::string acceptance_;
  std::map<std::string, std::unique_ptr<acceptance_policy>> policies_; ///< that were needed so far
  std::vector<sequence_rows> batch_;
  std::vector<std::vector<int>> parents_;      ///< of those in batch_ whose drafts are trees
  std::vector<std::vector<token_draw>> draws_; ///< of those in batch_ that a device may draw from
  scratch_rows scratch_;
};

} // namespace souffleur
