#include "policies/draft_estimate.hpp"

#include <algorithm>
#include <bit>

namespace souffleur {

namespace {

constexpr double bucket_decay = 0.995;
constexpr double record_decay = 0.9;
constexpr double prior_weight = 4; ///< drafted tokens that a bucket's beginning counts as
/// Tokens after which a request's own fortune counts as much as all others'.
constexpr double request_weight = 2;
constexpr double least_chance = 0.01;
constexpr double largest_chance = 0.99;

/// 0, 1, 2 to 3, 4 to 7, 8 to 15, more.
int match_class(int length, int n_classes) {
  const auto width = static_cast<int>(std::bit_width(static_cast<unsigned>(std::max(0, length))));
  return std::min(width, n_classes - 1);
}

/// A long match goes on more often than a short one.
constexpr double prior_chance[] = {0.3, 0.3, 0.4, 0.55, 0.7, 0.85};

} // namespace

draft_estimate::draft_estimate() {
  for (std::size_t i = 0; i < buckets_.size(); ++i) {
    const auto match = i / n_likelihoods_ % n_matches_;
    const double likelihood = (static_cast<double>(i % n_likelihoods_) + 1) / n_likelihoods_;
    buckets_[i] = {prior_weight, prior_weight * prior_chance[match] * likelihood};
  }
}

std::size_t draft_estimate::index_of(const draft_tree& draft, float probability) {
  const int likelihood = std::clamp(static_cast<int>(probability * n_likelihoods_), 0, n_likelihoods_ - 1);
  const int within = match_class(draft.match_length, n_matches_) * n_likelihoods_ + likelihood;
  return static_cast<std::size_t>(draft.origin) * n_matches_ * n_likelihoods_ +
         static_cast<std::size_t>(within);
}

std::vector<double> draft_estimate::survival(const draft_tree& draft, const draft_record& of_request) const {
  const auto& own = of_request.by_origin[static_cast<std::size_t>(draft.origin)];
  const double fortune = (request_weight + own.n_stood) / (request_weight + own.n_expected);
  std::vector<double> survival;
  survival.reserve(draft.nodes.size());
  for (const auto& node : draft.nodes) {
    const double above = node.parent < 0 ? 1 : survival[static_cast<std::size_t>(node.parent)];
    survival.push_back(above * std::clamp(chance(index_of(draft, node.probability)) * fortune, least_chance,
                                          largest_chance));
  }
  return survival;
}

void draft_estimate::observe(const draft_tree& draft, std::span<const token_id> emitted,
                             draft_record& of_request) {
  auto& own = of_request.by_origin[static_cast<std::size_t>(draft.origin)];
  own.n_expected *= record_decay;
  own.n_stood *= record_decay;
  int parent = -1;
  for (const auto token : emitted) {
    int stood = -1;
    for (int i = parent + 1; i < static_cast<int>(draft.nodes.size()); ++i) {
      const auto& node = draft.nodes[static_cast<std::size_t>(i)];
      if (node.parent != parent)
        continue;
      count(index_of(draft, node.probability), node.token == token, own);
      if (node.token == token)
        stood = i;
    }
    if (stood < 0)
      return;
    parent = stood;
  }
}

void draft_estimate::count(std::size_t index, bool stood, draft_record::fortune& of_request) {
  of_request.n_expected += chance(index);
  of_request.n_stood += stood ? 1 : 0;
  auto& found = buckets_[index];
  found.n_tried = bucket_decay * found.n_tried + 1;
  found.n_stood = bucket_decay * found.n_stood + (stood ? 1 : 0);
}

} // namespace souffleur
