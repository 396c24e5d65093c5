// Whether a worker of a cluster computes a prompt for another one, which decodes from there.
#pragma once

#include "policies/routing_policy.hpp"

#include <cstddef>
#include <optional>
#include <span>

namespace souffleur {

struct prefill_rules {
  /// Of the prompt that the worker which decodes does not have: with fewer it computes them itself, in less
  /// time than pages take to travel.
  int min_tokens = 256;
  /// Of prompts that wait at a worker that computes them: with more nothing is gained.
  int max_waiting_tokens = 1 << 15;
};

/// The prompt's rest is computed by one of `workers`, which serve prefill, or, if there is nothing, where it
/// decodes. By the one that takes requests and has the least to do before it has this prompt, among equals
/// the first. `n_held_tokens`: of the prompt, those that the worker which decodes has.
std::optional<std::size_t> choose_prefill_worker(int n_prompt_tokens, int n_held_tokens,
                                                 std::span<const worker_view> workers,
                                                 const prefill_rules& rules);

} // namespace souffleur
