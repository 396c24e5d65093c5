// One verifier step: forward pass, canonical pipeline, acceptance.
#pragma once

#include "actors/messages/step.hpp"
#include "engine/language_model.hpp"
#include "policies/acceptance_policy.hpp"

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace souffleur {

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
  const acceptance_policy& policy_for(const planned_sequence& rows);
  void collect(const planned_sequence& rows);
  sequence_outcome verify(const planned_sequence& rows, const row_outputs& outputs);

  std::shared_ptr<language_model> model_;
  std::vector<token_id> end_tokens_;
  std::string acceptance_;
  std::map<std::string, std::unique_ptr<acceptance_policy>> policies_; ///< that were needed so far
  std::vector<sequence_rows> batch_;
  std::vector<std::vector<int>> parents_; ///< of those in batch_ whose drafts are trees
  std::vector<float> scratch_;            ///< (vocabulary,)
};

} // namespace souffleur
