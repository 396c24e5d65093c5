#include "policies/draft_estimate.hpp"

#include <algorithm>
#include <bit>

namespace souffleur {

namespace {

constexpr double bucket_decay = 0.995;
constexpr double record_decay = 0.9;
constexpr double prior_weight = 4; ///< drafted tokens that a bucket's beginning counts as
constexpr double request_weight =
    2; ///< tokens after which a request's own fortune counts as much as all others'
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

int draft_estimate::index_of(const draft_tree& draft, float probability) {
  const int origin = static_cast<int>(draft.origin) % n_origins_;
  const int likelihood = std::clamp(static_cast<int>(probability * n_likelihoods_), 0, n_likelihoods_ - 1);
  return (origin * n_matches_ + match_class(draft.match_length, n_matches_)) * n_likelihoods_ + likelihood;
}

double draft_estimate::chance(int index) const {
  const auto& found = buckets_[static_cast<std::size_t>(index)];
  return found.n_accepted / found.n_tried;
}

std::vector<double> draft_estimate::survival(const draft_tree& draft, const draft_record& of_request) const {
  const double fortune = (request_weight + of_request.n_accepted) / (request_weight + of_request.n_expected);
  std::vector<double> survival;
  double stands = 1;
  for (const auto& token : draft.nodes) {
    stands *= std::clamp(chance(index_of(draft, token.probability)) * fortune, least_chance, largest_chance);
    survival.push_back(stands);
  }
  return survival;
}

void draft_estimate::verified(const draft_tree& draft, int n_verified, int n_accepted,
                              draft_record& of_request) {
  of_request.n_expected *= record_decay;
  of_request.n_accepted *= record_decay;
  of_request.n_steps_without = 0;
  // What comes after the first that fell was not tried.
  const int n_tried = std::min(n_accepted + 1, n_verified);
  for (int i = 0; i < n_tried; ++i) {
    const bool stood = i < n_accepted;
    const int index = index_of(draft, draft.nodes[static_cast<std::size_t>(i)].probability);
    of_request.n_expected += chance(index);
    of_request.n_accepted += stood ? 1 : 0;
    auto& found = buckets_[static_cast<std::size_t>(index)];
    found.n_tried = bucket_decay * found.n_tried + 1;
    found.n_accepted = bucket_decay * found.n_accepted + (stood ? 1 : 0);
  }
}

} // namespace souffleur
