// An eviction policy of one's own: checked, registered, chosen by its name, and seen at work.
#include <souffleur/actors/serving_config.hpp>
#include <souffleur/engine/kv_manager.hpp>
#include <souffleur/policies/eviction_policy.hpp>
#include <souffleur/testing/policy_laws.hpp>

#include <iostream>

using namespace souffleur;

/// What was found again outlives what never was, however long ago that is: a flood of questions that nobody
/// repeats does not wash away a shared beginning. Otherwise the longest unused goes first.
class twice_asked final : public eviction_policy {
public:
  std::string_view name() const override { return "twice_asked"; }
  eviction_key key(const cached_node& node) const override {
    return {node.hits > 0 ? 1.0 : 0.0, static_cast<double>(node.last_used)};
  }
};

/// Serves a page of equal tokens, as it were, and says how many of them the pool had from before.
int serve(kv_manager& pool, sequence_id id, token_id token) {
  const std::vector<token_id> prompt(page_tokens + 1, token); // the last one is always computed
  const int n_found = pool.begin(id, "tenant", prompt);
  if (pool.reserve(id, static_cast<int>(prompt.size())))
    pool.publish(id, prompt);
  pool.end(id);
  return n_found;
}

int main() {
  const auto make = [] { return std::make_unique<twice_asked>(); };
  if (!testing::keeps_eviction_laws(make) || !register_eviction_policy("twice_asked", make))
    return 1;
  serving_config config;
  config.eviction_policy = "twice_asked"; // for start_serving_in()
  for (const auto& name : {config.eviction_policy, std::string{"lru"}}) {
    kv_manager pool{4, make_eviction_policy(name)};
    sequence_id id = 0;
    for (const token_id token : {1, 1, 2, 3, 4, 5}) // one beginning twice, then four that nobody repeats
      serve(pool, ++id, token);
    std::cout << name << ": " << serve(pool, ++id, 1) << " tokens of the shared beginning are still there\n";
  }
}
