#include "policies/draft_tree.hpp"

namespace souffleur {

bool draft_tree::is_chain() const {
  auto expected = -1;
  for (const auto& one : nodes) {
    if (one.parent != expected++) {
      return false;
    }
  }
  return true;
}

std::vector<token_id> draft_tree::tokens() const {
  auto all = std::vector<token_id>();
  all.reserve(nodes.size());
  for (const auto& one : nodes) {
    all.push_back(one.token);
  }
  return all;
}

} // namespace souffleur
