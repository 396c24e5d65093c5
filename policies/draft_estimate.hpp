// How likely drafted tokens are to stand.
#pragma once

#include "policies/draft_model_gain.hpp"
#include "policies/draft_tree.hpp"

#include <array>
#include <span>
#include <vector>

namespace souffleur {

/// How the drafts of one request have fared beside what was expected of them, by drafter; fades with every
/// draft.
struct draft_record {
  struct fortune {
    double n_expected = 0;
    double n_stood = 0;
  };
  std::array<fortune, n_token_origins> by_origin{};
  asked_tokens of_model;       ///< what it brought to ask the draft model
  double without_model_us = 0; ///< time of the steps in which that could have been asked, and was not
};

/// Acceptance by drafter, length of the match and the drafter's own estimate, counted over all requests and
/// fading (Beta prior), times how far the request at hand does better or worse with that drafter.
class draft_estimate {
public:
  draft_estimate();
  /// Of each token, the probability that it and all before it on its path stand.
  std::vector<double> survival(const draft_tree& draft, const draft_record& of_request) const;
  /// `emitted` followed the text that the draft was made for, whether or not its tokens had rows: what was
  /// drafted beside another draft, or in vain, teaches as much.
  void observe(const draft_tree& draft, std::span<const token_id> emitted, draft_record& of_request);

private:
  struct bucket {
    double n_tried = 0;
    double n_stood = 0;
  };
  static constexpr int n_matches_ = 6;
  static constexpr int n_likelihoods_ = 4;

  static std::size_t index_of(const draft_tree& draft, float probability);
  double chance(std::size_t index) const { return buckets_[index].n_stood / buckets_[index].n_tried; }
  void count(std::size_t index, bool stood, draft_record::fortune& of_request);

  std::array<bucket, n_token_origins * n_matches_ * n_likelihoods_> buckets_;
};

} // namespace souffleur
