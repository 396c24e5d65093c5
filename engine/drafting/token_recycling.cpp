#include "engine/drafting/token_recycling.hpp"

#include "engine/drafting/grow.hpp"

#include <algorithm>

namespace souffleur {

token_recycling::token_recycling(int vocabulary_size)
    : row_of_(static_cast<std::size_t>(vocabulary_size)), rows_(1) {}

void token_recycling::note(token_id token, std::span<const likely_token> successors) {
  auto& index = row_of_[static_cast<std::size_t>(token)];
  if (index == 0) {
    index = static_cast<std::uint32_t>(rows_.size());
    rows_.emplace_back();
  }
  rows_[index] = {};
  std::ranges::copy(successors.first(std::min(successors.size(), n_successors)), rows_[index].begin());
}

draft_tree token_recycling::propose(token_id last, const draft_shape& shape) const {
  draft_tree draft;
  draft.origin = token_origin::recycling;
  grow(draft, last, shape, [&](token_id token, const auto& found) {
    const auto& successors = rows_[row_of_[static_cast<std::size_t>(token)]];
    const auto n = std::min(n_successors, static_cast<std::size_t>(std::max(shape.n_branches, 0)));
    for (const auto& one : std::span{successors}.first(n)) {
      if (one.probability > 0) {
        found(one.token, one.probability, one.token);
      }
    }
  });
  return draft;
}

std::size_t token_recycling::bytes() const {
  return row_of_.capacity() * sizeof(std::uint32_t) + rows_.capacity() * sizeof(row);
}

} // namespace souffleur
