// Acceptance one row after the other.
#pragma once

#include "policies/acceptance_policy.hpp"

#include <cstddef>

namespace souffleur {

/// What the decision about one row's drafted children depends on. There may be none.
struct drafted_row {
  distribution target;
  const distribution& proposal;
  std::vector<token_id> children;
};

/// Goes from the root on to the child that stands, until none does. Looks at no row below, so that in one
/// sequence every position's coins are looked at once.
class row_policy : public acceptance_policy {
public:
  std::vector<ending> plan(const verification_tree& draft, const target_rows& target) const final;
  verdict decide(const verification_tree& draft, const target_rows& target, const coins& from) const final;

protected:
  struct row_plan {
    std::vector<double> stands; ///< of each child, that it is the one that stands; last, that none does
    distribution otherwise;     ///< law of the row's own token where none stands
  };
  struct row_verdict {
    std::size_t child = 0; ///< the number of children if none stands
    token_id token = 0;
  };
  virtual row_plan plan_row(const drafted_row& row) const = 0;
  /// Throws the coins of the row at `depth`, which decides about the token of that offset.
  virtual row_verdict decide_row(const drafted_row& row, int depth, const coins& from) const = 0;
};

} // namespace souffleur
