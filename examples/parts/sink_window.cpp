// StreamingLLM: a stream without end keeps its first positions (sinks) and its last ones (window), in whole
// pages.
#include <souffleur/engine/kv_manager.hpp>
#include <souffleur/policies/eviction_policy.hpp>
#include <souffleur/policies/window_policy.hpp>

#include <cstdio>
#include <vector>

int main() {
  using namespace souffleur;
  const window_limits limits{.n_sinks = 16, .n_window = 64};
  const auto window = make_window_policy("sinks");
  kv_manager kv{16, make_eviction_policy("lru")}; // room for 256 positions
  kv.begin(1, "tenant", std::vector<token_id>{7});
  int n_dropped = 0;
  for (int position = 0; position < 100'000; ++position) { // one token after the other
    if (const int n = window->n_dropped(limits, position); n > n_dropped) {
      n_dropped = n;
      if (!kv.slide(1, window->n_sinks(limits), n_dropped))
        return 1;
    }
    if (!kv.reserve(1, position + 1 - n_dropped))
      return 1;
    if (position == 50 || position == 150 || position == 99'999)
      std::printf("position %5d sees 0-%d and %d-%d, in %zu pages\n", position, window->n_sinks(limits) - 1,
                  window->n_sinks(limits) + n_dropped, position, kv.pages(1).size());
  }
  kv.end(1);
  std::printf("%s\n",
              kv.check_integrity().empty() ? "every page is accounted for" : kv.check_integrity().c_str());
  return kv.check_integrity().empty() ? 0 : 1;
}
