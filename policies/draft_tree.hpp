// What a drafter proposes, as whoever spends rows on it sees it.
#pragma once

#include "policies/token.hpp"

#include <vector>

namespace souffleur {

/// One drafted token.
struct draft_node {
  token_id token = 0;
  int parent = -1;       ///< index of the token before it; -1: it follows the committed text
  float probability = 1; ///< the drafter's own estimate that it stands, given that its parent does
};

/// Tokens that may come next. In a chain, each one's parent is the one before.
/// Invariant: a parent stands before its children, and siblings differ, so that at most one path stands.
struct draft_tree {
  std::vector<draft_node> nodes;
  int match_length =
      0; ///< tokens at the end of the text that were found elsewhere; 0: none, or not looked for
  token_origin origin = token_origin::model;

  bool is_chain() const;
  std::vector<token_id> tokens() const;
};

/// How much is asked of a drafter.
struct draft_shape {
  int n_max = 0;               ///< tokens
  int n_branches = 1;          ///< most that may follow one token; 1: a chain
  float least_probability = 0; ///< of a token and all before it on its path; less is left out
};

} // namespace souffleur
