// Rejection sampling of a drafted tree as a whole.
#pragma once

#include "policies/acceptance_policy.hpp"

namespace souffleur {

/// Block verification for trees, from the leaves to the root: a path stands with the probability that its
/// last row has when it has no children left; if it does not, its parent goes on with the residual of its law
/// and without the child. The same as block verification on a chain. Of trees of two levels it accepts no
/// less than rejection token by token; of deeper ones mostly more, but a leaf that comes first can take what
/// a later sibling with a subtree would have got.
///
/// Weng et al. 2025, "Traversal verification for speculative tree decoding".
class traversal_verification final : public acceptance_policy {
public:
  std::string_view name() const override { return "traversal"; }
  bool lossless() const override { return true; }
  std::vector<ending> plan(const verification_tree& draft, const target_rows& target) const override;
};

} // namespace souffleur
