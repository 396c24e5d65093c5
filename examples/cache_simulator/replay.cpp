#include "examples/cache_simulator/replay.hpp"

#include "engine/kv_manager.hpp"
#include "policies/eviction_policy.hpp"

#include <algorithm>

namespace souffleur::cache_simulator {

namespace {

double cost_of_first(int n_pages) {
  return n_pages + 0.5 * n_pages * (n_pages - 1) / pages_that_double_the_cost;
}

std::vector<token_id> tokens_of(const std::vector<std::int32_t>& pages, int n) {
  auto tokens = std::vector<token_id>{};
  for (auto i = 0; i < n; ++i) {
    tokens.insert(tokens.end(), page_tokens, pages[static_cast<std::size_t>(i)]);
  }
  return tokens;
}

} // namespace

void outcome::count(int n_prompt, int n_hit) {
  n_prompt_pages += n_prompt;
  n_hit_pages += n_hit;
  cost_without_cache += cost_of_first(n_prompt);
  cost += cost_of_first(n_prompt) - cost_of_first(n_hit);
}

void outcome::add(const outcome& other) {
  n_prompt_pages += other.n_prompt_pages;
  n_hit_pages += other.n_hit_pages;
  cost_without_cache += other.cost_without_cache;
  cost += other.cost;
}

outcome replay(const trace& what, std::string_view strategy, int n_pages) {
  auto kv = kv_manager(n_pages, make_eviction_policy(strategy));
  auto to = outcome{.strategy = std::string(strategy)};
  auto id = sequence_id{0};
  for (const auto& one : what.requests) {
    ++id;
    auto prompt = tokens_of(one.pages, one.n_prompt_pages);
    prompt.push_back(0); // begin() leaves one token to compute
    to.count(one.n_prompt_pages, kv.begin(id, "", prompt) / page_tokens);
    const auto all = tokens_of(one.pages, static_cast<int>(one.pages.size()));
    if (kv.reserve(id, static_cast<int>(all.size()))) {
      kv.publish(id, all);
    }
    kv.end(id);
  }
  return to;
}

} // namespace souffleur::cache_simulator
