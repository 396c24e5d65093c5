#include "policies/exact_match.hpp"

#include <algorithm>

namespace souffleur {

row_policy::row_plan exact_match::plan_row(const drafted_row& row) const {
  const auto law = law_of(row.target);
  distribution matched; // the part of the law that the children cover
  auto children = row.children;
  std::sort(children.begin(), children.end());
  children.erase(std::unique(children.begin(), children.end()), children.end());
  for (const token_id child : children) {
    matched.tokens.push_back(child);
    matched.probabilities.push_back(probability_of(law, child));
  }
  row_plan plan;
  for (auto child = row.children.begin(); child != row.children.end(); ++child) {
    const bool first = std::find(row.children.begin(), child, *child) == child;
    plan.stands.push_back(first ? probability_of(law, *child) : 0);
  }
  auto rest = residual_of(1, law, matched);
  plan.stands.push_back(rest.mass);
  plan.otherwise = std::move(rest.law);
  return plan;
}

row_policy::row_verdict exact_match::decide_row(const drafted_row& row, int depth, const coins& from) const {
  const token_id token = take(row.target, depth, from);
  const auto at = std::find(row.children.begin(), row.children.end(), token);
  return {static_cast<std::size_t>(at - row.children.begin()), token};
}

} // namespace souffleur
