#include "policies/token_rejection.hpp"

#include <algorithm>

namespace souffleur {

row_policy::row_plan token_rejection::plan_row(const drafted_row& row) const {
  row_plan plan;
  double none_yet = 1;
  auto& left = plan.otherwise = row.target;
  sibling_laws laws{row.proposal};
  for (const token_id child : row.children) {
    const auto& drawn_from = laws.next(child);
    const double stands = std::min(1.0, probability_of(left, child) / probability_of(drawn_from, child));
    plan.stands.push_back(none_yet * stands);
    none_yet *= 1 - stands;
    left = residual_of(1, left, drawn_from).law;
  }
  plan.stands.push_back(none_yet);
  return plan;
}

row_policy::row_verdict token_rejection::decide_row(const drafted_row& row, int depth,
                                                    const coins& from) const {
  const auto plan = plan_row(row);
  const std::size_t child = from.pick({depth, rng_purpose::accept}, plan.stands);
  if (child < row.children.size()) {
    return {child, row.children[child]};
  }
  return {child, draw(from, {depth, rng_purpose::sample}, plan.otherwise)};
}

} // namespace souffleur
