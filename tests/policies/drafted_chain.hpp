// Drafts for the tests of what judges them.
#pragma once

#include "policies/draft_tree.hpp"

#include <vector>

namespace souffleur::testing {

/// A chain of tokens of which only the drafter's estimates matter.
inline draft_tree drafted_chain(token_origin origin, int match_length,
                                const std::vector<float>& probabilities) {
  draft_tree draft{{}, match_length, origin};
  for (const float probability : probabilities)
    draft.nodes.push_back({0, static_cast<int>(draft.nodes.size()) - 1, probability});
  return draft;
}

/// What is emitted where `n` of a drafted_chain's tokens stand: then comes another.
inline std::vector<token_id> emitted_where(int n) {
  std::vector<token_id> tokens(static_cast<std::size_t>(n), 0);
  tokens.push_back(1);
  return tokens;
}

} // namespace souffleur::testing
