#include "policies/prefill_policy.hpp"

#include <cstdint>

namespace souffleur {

std::optional<std::size_t> choose_prefill_worker(int n_prompt_tokens, int n_held_tokens,
                                                 std::span<const worker_view> workers,
                                                 const prefill_rules& rules) {
  if (n_prompt_tokens - n_held_tokens < rules.min_tokens)
    return std::nullopt;
  const routing_request prompt{0, n_prompt_tokens};
  const auto n_ahead = [&](const worker_view& worker) { return tokens_ahead(prompt, worker, {}); };
  std::optional<std::size_t> best;
  for (std::size_t i = 0; i < workers.size(); ++i)
    if (workers[i].takes_requests && workers[i].n_waiting_tokens <= rules.max_waiting_tokens &&
        (!best || n_ahead(workers[i]) < n_ahead(workers[*best])))
      best = i;
  return best;
}

} // namespace souffleur
