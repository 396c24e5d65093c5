// What a trace costs with a strategy, and at least.
#pragma once

#include "examples/cache_simulator/trace.hpp"

#include <string_view>

namespace souffleur::cache_simulator {

struct outcome {
  std::string strategy;
  std::int64_t n_prompt_pages = 0;
  std::int64_t n_hit_pages = 0;
  double cost_without_cache = 0; ///< of prefilling all prompts, in pages at depth 0
  double cost = 0;               ///< of prefilling what was not found

  double hit_rate() const { return n_prompt_pages == 0 ? 0 : double(n_hit_pages) / double(n_prompt_pages); }
  double cost_rate() const { return cost_without_cache == 0 ? 0 : cost / cost_without_cache; }
  void count(int n_prompt, int n_hit);
  void add(const outcome& other);
};

/// One request after the other through a kv_manager of `n_pages`. A request that does not fit is looked up
/// and not kept. REQUIRES: make_eviction_policy() knows `strategy`.
outcome replay(const trace& what, std::string_view strategy, int n_pages);

/// Belady's bound: after each request, keeps the pages whose next use is nearest, even of a request that does
/// not fit. No strategy has more hits (Belady 1966, MIN, here with bypass).
outcome replay_belady(const trace& what, int n_pages);

} // namespace souffleur::cache_simulator
