#include "policies/verification_tree.hpp"

#include <algorithm>

namespace souffleur {

std::vector<int> verification_tree::children(int row) const {
  std::vector<int> found;
  for (int child = row + 1; child < n_rows(); ++child) {
    if (node(child).parent == row) {
      found.push_back(child);
    }
  }
  return found;
}

std::vector<token_id> verification_tree::tokens_of(std::span<const int> rows) const {
  std::vector<token_id> tokens;
  for (const int row : rows) {
    tokens.push_back(node(row).token);
  }
  return tokens;
}

std::vector<int> verification_tree::path(int row) const {
  std::vector<int> rows{row};
  while (rows.back() > 0) {
    rows.push_back(node(rows.back()).parent);
  }
  std::reverse(rows.begin(), rows.end());
  return rows;
}

std::vector<token_id> verification_tree::tokens_to(int row) const {
  const auto rows = path(row);
  return tokens_of(std::span{rows}.subspan(1));
}

const distribution& verification_tree::proposal(int row) const {
  static const distribution none;
  const auto at = static_cast<std::size_t>(row);
  return at < proposals.size() ? proposals[at] : none;
}

verification_tree chain_of(std::span<const token_id> tokens, std::vector<distribution> proposals) {
  verification_tree draft{{}, std::move(proposals)};
  for (const token_id token : tokens) {
    draft.nodes.push_back({token, static_cast<int>(draft.nodes.size())});
  }
  return draft;
}

const distribution& sibling_laws::next(token_id child) {
  if (previous_) {
    left_ = without(std::move(left_), *previous_);
  }
  previous_ = child;
  if (probability_of(left_, child) > 0) {
    return left_;
  }
  return chosen_ = point_mass(child);
}

} // namespace souffleur
