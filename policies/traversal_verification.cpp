#include "policies/traversal_verification.hpp"

#include "policies/block_verification.hpp"

#include <algorithm>

namespace souffleur {
namespace {

class traversal {
public:
  traversal(const verification_tree& draft, const target_rows& target) : draft_(draft), target_(target) {}

  /// Adds the endings in `row` and below; the path to `row` stands with probability `stands` if it was drawn.
  void visit(int row, double stands) {
    auto law = target_(row);
    sibling_laws laws{draft_.proposal(row)};
    for (const int child : draft_.children(row)) {
      const token_id token = draft_.node(child).token;
      const auto& drawn_from = laws.next(token);
      visit(child, std::min(1.0, stands * probability_of(law, token) / probability_of(drawn_from, token)));
      auto rest = residual_of(stands, law, drawn_from);
      stands = ending_chance(rest.mass, stands);
      law = std::move(rest.law);
    }
    endings_.push_back({row, none_yet_ * stands, std::move(law)});
    none_yet_ *= 1 - stands;
  }

  std::vector<ending> endings() && { return std::move(endings_); }

private:
  const verification_tree& draft_;
  const target_rows& target_;
  std::vector<ending> endings_;
  double none_yet_ = 1; ///< probability that the step ends in none of the endings so far
};

} // namespace

std::vector<ending> traversal_verification::plan(const verification_tree& draft,
                                                 const target_rows& target) const {
  traversal way{draft, target};
  way.visit(0, 1);
  return std::move(way).endings();
}

} // namespace souffleur
