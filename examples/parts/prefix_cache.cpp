// A radix tree of shared KV pages: what one conversation computed, the next one with the same beginning
// finds.
#include <souffleur/engine/kv_manager.hpp>
#include <souffleur/policies/eviction_policy.hpp>

#include <cstdio>
#include <numeric>
#include <string>
#include <vector>

int main() {
  using namespace souffleur;
  kv_manager kv{8, make_eviction_policy("lhd")}; // 8 pages of 16 tokens
  std::vector<token_id> system_prompt(64);
  std::iota(system_prompt.begin(), system_prompt.end(), 100);
  sequence_id id = 0;
  int n_found = 0;
  const auto serve = [&](const std::string& tenant, token_id question) {
    auto prompt = system_prompt;
    prompt.push_back(question);
    n_found = kv.begin(++id, tenant, prompt);
    const bool has_room = kv.reserve(id, static_cast<int>(prompt.size()) + 8); // for the answer
    kv.publish(id, prompt); // once a forward pass has filled the pages
    kv.end(id);
    std::printf("%-6s asks %d: %2d of %zu tokens were cached%s; %d pages cached, %d free\n", tenant.c_str(),
                question, n_found, prompt.size(), has_room ? "" : ", no room", kv.occupancy().n_cached,
                kv.occupancy().n_free);
    return n_found;
  };
  const bool is_right = serve("alice", 1) == 0 && serve("alice", 2) == 64 &&
                        serve("bob", 1) == 0                                        // tenants share nothing
                        && serve("alice", 3) == 48 && kv.check_integrity().empty(); // bob needed a page
  return is_right ? 0 : 1;
}
