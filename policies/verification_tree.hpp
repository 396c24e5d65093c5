// Drafted tokens: a chain, or several continuations that share their beginnings.
#pragma once

#include "policies/distribution.hpp"

#include <optional>
#include <span>
#include <vector>

namespace souffleur {

struct verification_node {
  token_id token = 0;
  int parent = 0; ///< row of the token before it
};

/// Rows are what the target judges: row 0 is the last committed token, row i is nodes[i - 1]. A row's target
/// distribution is that of the token after it. A node's parent comes before the node.
struct verification_tree {
  std::vector<verification_node> nodes;

  /// `proposals[row]` is the law that the children of `row` were drawn from, in their order and without
  /// replacement; empty, or beyond the end, if they were chosen without a coin. A child that has no
  /// probability there counts as chosen.
  /// For policies that look at it, this must be the whole truth: whether there is a draw may depend on what
  /// was drawn before, but what was drawn is there whatever it turned out to be, and its coin is one that no
  /// earlier step has looked at.
  std::vector<distribution> proposals;

  int n_rows() const { return static_cast<int>(nodes.size()) + 1; }
  const verification_node& node(int row) const { return nodes[static_cast<std::size_t>(row) - 1]; }
  std::vector<int> children(int row) const;
  std::vector<token_id> tokens_of(std::span<const int> rows) const; ///< without row 0
  /// Rows from 0 to `row`.
  std::vector<int> path(int row) const;
  /// The drafted tokens on it.
  std::vector<token_id> tokens_to(int row) const;
  const distribution& proposal(int row) const;
};

verification_tree chain_of(std::span<const token_id> tokens, std::vector<distribution> proposals = {});

/// The laws that a row's children come from, given that those before were put aside.
class sibling_laws {
public:
  explicit sibling_laws(distribution proposal) : left_(std::move(proposal)) {}

  /// That of the next child, which is `child`: the proposal without the children before, or a point mass if
  /// the child was chosen. Valid until the next call.
  const distribution& next(token_id child);

private:
  distribution left_; ///< of the proposal, with previous_
  std::optional<token_id> previous_;
  distribution chosen_;
};

} // namespace souffleur
