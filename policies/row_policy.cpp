#include "policies/row_policy.hpp"

namespace souffleur {

std::vector<ending> row_policy::plan(const verification_tree& draft, const target_rows& target) const {
  std::vector<double> reached(static_cast<std::size_t>(draft.n_rows()), 0);
  reached.front() = 1;
  std::vector<ending> endings;
  for (int row = 0; row < draft.n_rows(); ++row) {
    const auto children = draft.children(row);
    const double here = reached[static_cast<std::size_t>(row)];
    auto what = plan_row({target(row), draft.proposal(row), draft.tokens_of(children)});
    for (std::size_t i = 0; i < children.size(); ++i) {
      reached[static_cast<std::size_t>(children[i])] = here * what.stands[i];
    }
    endings.push_back({row, here * what.stands.back(), std::move(what.otherwise)});
  }
  return endings;
}

verdict row_policy::decide(const verification_tree& draft, const target_rows& target,
                           const coins& from) const {
  verdict result{{}, {0}};
  for (;;) {
    const int row = result.rows.back();
    const int depth = static_cast<int>(result.tokens.size());
    const auto children = draft.children(row);
    const auto what = decide_row({target(row), draft.proposal(row), draft.tokens_of(children)}, depth, from);
    result.tokens.push_back(what.token);
    if (what.child == children.size()) {
      return result;
    }
    result.rows.push_back(children[what.child]);
  }
}

} // namespace souffleur
