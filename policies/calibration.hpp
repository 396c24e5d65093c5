// From labelled traffic to thresholds whose error is bounded with confidence.
#pragma once

#include "policies/similarity_law.hpp"

#include <span>
#include <vector>

namespace souffleur {

/// A request and the stored question that is nearest to it, as they come when serving: the labels have to be
/// of such pairs, as frequent as they are, or a certificate says nothing about serving.
struct labelled_lookup {
  double similarity = -1; ///< cosine; -1: nothing was stored
  bool passes_guards = false;
  bool right = false; ///< the stored answer would have done
};

/// Of what an error rate is a share. Errors per request are what a client sees who does not know which
/// answers are cached; the bound of vCache is one per request. Errors per hit are never fewer.
enum class error_basis : std::uint8_t { per_request, per_hit };

/// If everything that passes the guards and is as similar as `threshold` is served.
struct curve_point {
  double threshold = 0;
  int n_requests = 0;
  int n_hits = 0;
  int n_errors = 0;
  double hit_rate() const { return n_requests == 0 ? 0 : static_cast<double>(n_hits) / n_requests; }
  int n_of(error_basis basis) const { return basis == error_basis::per_hit ? n_hits : n_requests; }
  double error(error_basis basis) const {
    return n_of(basis) == 0 ? 0 : static_cast<double>(n_errors) / n_of(basis);
  }
};

/// From threshold 1 down to 0.5 in equal steps.
std::vector<curve_point> curve_of(std::span<const labelled_lookup> lookups, bool guarded);

/// The probability that is too large with `confidence` if `n_events` of `n` were seen (Clopper and Pearson
/// 1934, one-sided). 1 if n is 0.
double upper_bound(int n_events, int n, double confidence);

/// The lowest threshold so that with `confidence` the error is at most `max_error`, by fixed-sequence testing
/// (Angelopoulos et al. 2021, arXiv 2110.01052): from above, until the first bound that is exceeded. Above 1
/// if there is none. Of errors per hit there are few trials at first: three sequences share the doubt, from
/// where there are just enough hits for a bound without any error, 4 times and 16 times as many. That depends
/// on the similarities, never on the labels.
double certified_threshold(std::span<const curve_point> curve, double max_error, double confidence,
                           error_basis basis);

/// A promise, and the similarity from which it is kept by entries without a record.
struct certified_floor {
  double max_error = 0;
  double threshold = 2; ///< above 1: nothing is served on it
};

struct cache_calibration {
  error_basis basis = error_basis::per_request;
  threshold_prior prior;
  std::vector<certified_floor> floors; ///< by ascending max_error; thresholds do not ascend
  /// Of the largest promise that is no more than `max_error`; above 1 if there is none.
  double floor_for(double max_error) const;
};

/// Certifies each of `promises` (ascending), each with `confidence`.
cache_calibration calibrate(std::span<const labelled_lookup> lookups, std::span<const double> promises,
                            double confidence, error_basis basis);

} // namespace souffleur
