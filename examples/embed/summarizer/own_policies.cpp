#include "own_policies.hpp"

#include <algorithm>
#include <map>

namespace summarizer {

using namespace souffleur;

namespace {

ending ending_of(int row, const std::map<token_id, double>& masses) {
  ending way{row, 0, {}};
  for (const auto& [token, mass] : masses)
    way.probability += mass;
  for (const auto& [token, mass] : masses) {
    way.law.tokens.push_back(token);
    way.law.probabilities.push_back(mass / way.probability);
  }
  return way;
}

} // namespace

eviction_key keep_instructions::key(const cached_node& node) const {
  return {static_cast<double>(node.forks > 1), static_cast<double>(node.last_used)};
}

std::vector<ending> even_pace::plan(const verification_tree& draft, const target_rows& target) const {
  std::map<int, std::map<token_id, double>> ways; // by the last row that stands, and the token behind it
  for (const auto& way : coupled_->plan(draft, target)) {
    if (way.probability == 0)
      continue;
    const auto path = draft.path(way.row);
    if (path.size() > most_rows)
      ways[path[most_rows - 1]][draft.node(path[most_rows]).token] += way.probability;
    else
      for (std::size_t i = 0; i < way.law.tokens.size(); ++i)
        ways[way.row][way.law.tokens[i]] += way.probability * way.law.probabilities[i];
  }
  std::vector<ending> endings;
  for (const auto& [row, masses] : ways)
    endings.push_back(ending_of(row, masses));
  return endings;
}

verdict even_pace::decide(const verification_tree& draft, const target_rows& target,
                          const coins& from) const {
  auto decided = coupled_->decide(draft, target, from);
  const auto n = std::min(decided.rows.size(), most_rows);
  decided.rows.resize(n);
  decided.tokens.resize(n);
  return decided;
}

void register_policies() {
  register_eviction_policy("keep_instructions", [] { return std::make_unique<keep_instructions>(); });
  register_acceptance_policy("even_pace", [] { return std::make_unique<even_pace>(); });
}

} // namespace summarizer
