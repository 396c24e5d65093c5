// What a worker's steps take: measured, or the defaults of a small model on two cores.
#pragma once

#include "engine/result.hpp"
#include "policies/step_cost.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace souffleur::cluster_simulation {

struct worker_costs {
  std::vector<step_time> decode;   ///< rows of as many sequences, each with logits
  std::vector<step_time> prefill;  ///< rows of one prompt, the last with logits
  double attention_us = 0;         ///< of a decoded row, for each token before it
  double prefill_attention_us = 0; ///< of a row of a prompt, for each token before it
  double step_us = 0;              ///< beside the model: scheduling, sampling, sending
  double request_us =
      0; ///< before a request can be scheduled: reading, tokenizing; and its answer's way back
  /// Times longer that a step takes while one, two, … workers compute, where they share a machine; a number
  /// beyond the last is as slow as the last. Empty: each has its own.
  std::vector<double> crowding;
  /// A step takes one of so many times longer than that, each as likely: one without rows of prompts, and one
  /// with. Empty: all take just as long.
  std::vector<double> decode_spread;
  std::vector<double> prefill_spread;
};

/// SmolLM2 (135M) on two cores with AVX-512, as `validate.py` measured it.
worker_costs default_costs();
/// What validate.py writes: {"decode": [[rows, us], ...], "prefill": [...], "attention_us": ..., "step_us":
/// ..., "request_us": ...}; if they are known, "decode_spread": [...], "prefill_spread": [...], and
/// "crowding": [1, ...] where workers share a machine.
result<worker_costs> read_costs(const std::string& path);

/// The rows of a step. Contexts are the tokens before each of them, summed up.
struct step_rows {
  int n_decode = 0;
  int n_prefill = 0;
  std::int64_t decode_context = 0;
  std::int64_t prefill_context = 0;
};

class step_model {
public:
  explicit step_model(const worker_costs& costs)
      : decode_(costs.decode), prefill_(costs.prefill), attention_us_(costs.attention_us),
        prefill_attention_us_(costs.prefill_attention_us), step_us_(costs.step_us) {}

  /// REQUIRES: a row. The weights are read once for both kinds.
  double us(const step_rows& rows) const {
    double sum = step_us_ + attention_us_ * static_cast<double>(rows.decode_context) +
                 prefill_attention_us_ * static_cast<double>(rows.prefill_context);
    if (rows.n_decode > 0)
      sum += decode_.us(rows.n_decode);
    if (rows.n_prefill > 0)
      sum += prefill_.us(rows.n_prefill);
    if (rows.n_decode > 0 && rows.n_prefill > 0)
      sum -= decode_.us(1);
    return sum;
  }

private:
  step_cost decode_;
  step_cost prefill_;
  double attention_us_;
  double prefill_attention_us_;
  double step_us_;
};

} // namespace souffleur::cluster_simulation
