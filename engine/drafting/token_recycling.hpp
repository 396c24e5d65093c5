// Drafts from the tokens that the model thought likely after a token when it last saw it.
#pragma once

#include "policies/distribution.hpp"
#include "policies/draft_tree.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace souffleur {

/// Adjacency matrix of Token Recycling (arXiv 2408.08696). One row of 64 bytes for each token that was seen,
/// whose content is what one sequence was likely to say: share it no further than that may be known.
class token_recycling {
public:
  static constexpr std::size_t n_successors = 8;

  explicit token_recycling(int vocabulary_size);

  /// What the model made of the row of `token`, whether a drafted token there stood or not: the likeliest
  /// successors in descending order, of which the first n_successors are kept. Replaces what was known.
  void note(token_id token, std::span<const likely_token> successors);
  /// Tokens that may follow `last`, the most probable paths first.
  draft_tree propose(token_id last, const draft_shape& shape) const;
  std::size_t bytes() const;

private:
  using row = std::array<likely_token, n_successors>; ///< those of probability 0 are none

  std::vector<std::uint32_t> row_of_; ///< by token; 0: none
  std::vector<row> rows_;
};

} // namespace souffleur
