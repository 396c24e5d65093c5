// One verifier step: forward pass, canonical pipeline, acceptance.
#pragma once

#include "actors/messages/step.hpp"
#include "engine/language_model.hpp"
#include "policies/acceptance_policy.hpp"

#include <memory>
#include <string>
#include <vector>

namespace souffleur {

/// Keeps no state of any sequence; a step's result depends on the plan and the model's KV alone.
class step_runner {
public:
  /// `acceptance` decides rows with temperature > 0; greedy rows are decided greedily. `end_tokens` are what
  /// `min_tokens` forbids, with a request's own stop tokens. REQUIRES: `acceptance` is a known name.
  step_runner(std::shared_ptr<language_model> model, std::vector<token_id> end_tokens,
              const std::string& acceptance);

  step_result run(const step_plan& plan);

private:
  saved_page save(const page_save& wish) const;
  sequence_outcome verify(const planned_sequence& rows, std::span<const float> logits);

  std::shared_ptr<language_model> model_;
  std::vector<token_id> end_tokens_;
  std::unique_ptr<acceptance_policy> greedy_;
  std::unique_ptr<acceptance_policy> sampled_;
  std::vector<float> logits_;  ///< (n_logit_rows, vocabulary)
  std::vector<float> scratch_; ///< (vocabulary,)
};

} // namespace souffleur
