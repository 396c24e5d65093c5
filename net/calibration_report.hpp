// Tables of what cache policies do with labelled traffic.
#pragma once

#include "engine/cache/labelled_traffic.hpp"

#include <iosfwd>
#include <span>
#include <vector>

namespace souffleur {

/// Hits, precision (of hits, those that are right) and recall (of what would have been right, what is served)
/// at each threshold, with and without the guards.
void write_curve(std::ostream& out, std::span<const labelled_lookup> lookups, double step);

struct calibration_trial {
  traffic kind = traffic::pairs;
  error_basis basis = error_basis::per_request;
  double confidence = 0.95;
  std::vector<double> promises;
};

/// Calibrates on one half, sends the other half through the policies. The fixed thresholds that `bounded` is
/// compared with are the best that there are on the other half itself, which nobody can know beforehand.
void write_calibration(std::ostream& out, const calibration_trial& what,
                       std::span<const asked_question> calibration, std::span<const asked_question> test);

/// The most hits that a fixed threshold has with so many errors, and one with guards.
void write_equal_error(std::ostream& out, std::span<const asked_question> test);

/// The same over many ways to halve the pairs: how often `bounded` breaks its promise.
struct repeated_calibration {
  int n_trials = 0;
  int n_broken = 0;          ///< more errors than promised
  double error = 0;          ///< mean
  double hit_rate = 0;       ///< mean
  double fixed_hit_rate = 0; ///< mean, of a fixed threshold that is certified alike
};
repeated_calibration repeat_calibration(const labelled_pairs& all, const question_vectors& vectors,
                                        const calibration_trial& what, double promise, int n_trials);
void write_repeated(std::ostream& out, double promise, const repeated_calibration& outcome);

/// What a fixed threshold of 0.9 serves wrongly and `bounded` does not, and what `bounded` serves wrongly;
/// the first `n_shown` of each with their texts. Without what nobody has labelled.
void write_false_hits(std::ostream& out, const labelled_pairs& all, const calibration_trial& what,
                      std::span<const asked_question> calibration, std::span<const asked_question> test,
                      int n_shown);

} // namespace souffleur
