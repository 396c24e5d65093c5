// How likely drafted tokens are to stand.
#pragma once

#include "policies/draft_tree.hpp"

#include <array>
#include <vector>

namespace souffleur {

/// How the drafts of one request have fared beside what was expected of them; fades with every draft.
struct draft_record {
  double n_expected = 0;
  double n_accepted = 0;
  int n_steps_without = 0; ///< since a draft of it was last verified
};

/// Acceptance by drafter, length of the match and the drafter's own estimate, counted over all requests and
/// fading (Beta prior), times how far the request at hand does better or worse. Drafts are chains.
class draft_estimate {
public:
  draft_estimate();
  /// Of each token, the probability that it and all before it stand: never rising.
  std::vector<double> survival(const draft_tree& draft, const draft_record& of_request) const;
  /// The first `n_verified` tokens of a draft got rows, and the first `n_accepted` of them stood.
  void verified(const draft_tree& draft, int n_verified, int n_accepted, draft_record& of_request);

private:
  struct bucket {
    double n_tried = 0;
    double n_accepted = 0;
  };
  static constexpr int n_origins_ = 16;
  static constexpr int n_matches_ = 6;
  static constexpr int n_likelihoods_ = 4;

  static int index_of(const draft_tree& draft, float probability);
  double chance(int index) const;

  std::array<bucket, std::size_t{n_origins_} * n_matches_ * n_likelihoods_> buckets_;
};

} // namespace souffleur
