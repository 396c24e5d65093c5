#include "policies/draft_tree.hpp"

#include <numeric>

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

std::vector<float> draft_tree::path_probabilities() const {
  auto all = std::vector<float>();
  all.reserve(nodes.size());
  for (const auto& one : nodes) {
    const auto above = one.parent < 0 ? 1.0F : all[static_cast<std::size_t>(one.parent)];
    all.push_back(above * one.probability);
  }
  return all;
}

float draft_tree::n_expected() const {
  const auto all = path_probabilities();
  return std::accumulate(all.begin(), all.end(), 0.0F);
}

} // namespace souffleur
