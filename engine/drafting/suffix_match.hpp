// Where a growing context stands in a tree of other texts.
#pragma once

#include "engine/drafting/suffix_tree.hpp"

#include <span>

namespace souffleur {

/// Follows one sequence through one tree: O(1) amortised by token as long as the tree stays the same, and
/// O(depth) once after a change. Trees that it may be shown differ in depth() not at all and in version()
/// always.
class suffix_match {
public:
  explicit suffix_match(int depth = suffix_tree::default_depth);

  /// Adds tokens to the end of the context.
  void append(std::span<const token_id> tokens);
  /// What followed the longest suffix of the context that occurs in `tree`, of less than `depth` tokens.
  draft_tree propose(const suffix_tree& tree, const draft_shape& shape);

private:
  void catch_up(const suffix_tree& tree);

  std::uint32_t n_kept_; ///< last tokens of the context that can matter
  token_ring context_;
  std::uint32_t n_followed_ = 0; ///< position in `context_` up to which `at_` is right
  std::uint64_t version_ = ~std::uint64_t{0};
  suffix_locus at_;
};

} // namespace souffleur
