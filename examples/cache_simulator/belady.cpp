#include "examples/cache_simulator/replay.hpp"

#include <algorithm>
#include <limits>
#include <map>
#include <set>

namespace souffleur::cache_simulator {

namespace {

constexpr auto never = std::numeric_limits<std::size_t>::max();

/// The trace by prefixes: equal ids are equal pages after equal pages; a longer prefix has a larger id.
struct prefixes {
  std::vector<std::vector<int>> ids;              ///< by request and page
  std::vector<std::vector<std::size_t>> next_use; ///< the next request whose prompt has it
  int n_ids = 0;

  explicit prefixes(const trace& what) {
    auto known = std::map<std::pair<int, std::int32_t>, int>{};
    for (const auto& one : what.requests) {
      auto& path = ids.emplace_back();
      for (auto parent = -1; const auto page : one.pages) {
        parent = known.emplace(std::pair(parent, page), static_cast<int>(known.size())).first->second;
        path.push_back(parent);
      }
    }
    n_ids = static_cast<int>(known.size());
    next_use.resize(ids.size());
    auto next = std::vector<std::size_t>(known.size(), never);
    for (auto r = ids.size(); r-- > 0;) {
      for (auto i = std::size_t{0}; i < ids[r].size(); ++i) {
        auto& at = next[static_cast<std::size_t>(ids[r][i])];
        next_use[r].push_back(at);
        at = i < static_cast<std::size_t>(what.requests[r].n_prompt_pages) ? r : at;
      }
    }
  }
};

} // namespace

outcome replay_belady(const trace& what, int n_pages) {
  const auto all = prefixes(what);
  auto to = outcome{.strategy = "belady"};
  auto next_of = std::vector<std::size_t>(static_cast<std::size_t>(all.n_ids));
  auto kept = std::set<std::pair<std::size_t, int>>{}; // by next use; of one use, the tail last
  for (auto r = std::size_t{0}; r < all.ids.size(); ++r) {
    const auto& path = all.ids[r];
    const auto place = [&](int id) { return std::pair(next_of[static_cast<std::size_t>(id)], id); };
    const auto n_prompt = what.requests[r].n_prompt_pages;
    const auto missed = std::find_if(path.begin(), path.begin() + n_prompt,
                                     [&](int id) { return !kept.contains(place(id)); });
    to.count(n_prompt, static_cast<int>(missed - path.begin()));
    for (auto i = std::size_t{0}; i < path.size(); ++i) {
      kept.erase(place(path[i]));
      next_of[static_cast<std::size_t>(path[i])] = all.next_use[r][i];
      kept.insert(place(path[i]));
    }
    while (kept.size() > static_cast<std::size_t>(n_pages)) {
      kept.erase(std::prev(kept.end()));
    }
  }
  return to;
}

} // namespace souffleur::cache_simulator
