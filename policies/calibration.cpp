#include "policies/calibration.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace souffleur {

namespace {

constexpr int n_steps = 200;
constexpr double lowest_threshold = 0.5;

/// log(e^a + e^b)
double log_sum(double a, double b) {
  const double larger = std::max(a, b);
  return larger + std::log1p(std::exp(std::min(a, b) - larger));
}

/// P(X <= n_events) for X binomial with n trials of probability p in (0, 1).
double binomial_below(int n_events, int n, double p) {
  const double log_odds = std::log(p) - std::log1p(-p);
  double log_term = n * std::log1p(-p);
  double log_total = log_term;
  for (int i = 0; i < n_events; ++i) {
    log_term += std::log(static_cast<double>(n - i) / (i + 1)) + log_odds;
    log_total = log_sum(log_total, log_term);
  }
  return std::exp(log_total);
}

/// upper_bound(n_events, n, confidence) <= p
bool is_bounded(int n_events, int n, double p, double confidence) {
  return n_events < n && p > 0 && (p >= 1 || binomial_below(n_events, n, p) <= 1 - confidence);
}

/// A bound below `max_error` is possible with this many trials and no event.
int n_for_a_bound(double max_error, double confidence) {
  if (max_error <= 0)
    return std::numeric_limits<int>::max();
  if (max_error >= 1)
    return 1;
  return static_cast<int>(std::ceil(std::log(1 - confidence) / std::log1p(-max_error)));
}

} // namespace

std::vector<curve_point> curve_of(std::span<const labelled_lookup> lookups, bool guarded) {
  std::vector<labelled_lookup> sorted;
  for (const auto& one : lookups)
    if (one.passes_guards || !guarded)
      sorted.push_back(one);
  std::sort(sorted.begin(), sorted.end(),
            [](const auto& a, const auto& b) { return a.similarity > b.similarity; });
  std::vector<curve_point> curve;
  curve_point point;
  point.n_requests = static_cast<int>(lookups.size());
  std::size_t n_taken = 0;
  for (int i = 0; i <= n_steps; ++i) {
    point.threshold = 1 - (1 - lowest_threshold) * i / n_steps;
    for (; n_taken < sorted.size() && sorted[n_taken].similarity >= point.threshold; ++n_taken) {
      ++point.n_hits;
      point.n_errors += sorted[n_taken].right ? 0 : 1;
    }
    curve.push_back(point);
  }
  return curve;
}

double upper_bound(int n_events, int n, double confidence) {
  if (n_events >= n)
    return 1;
  double low = 0;
  double high = 1;
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    (is_bounded(n_events, n, middle, confidence) ? high : low) = middle;
  }
  return high;
}

namespace {

/// Fixed-sequence testing from the first threshold with `n_first` trials.
double certified_from(std::span<const curve_point> curve, int n_first, double max_error, double confidence,
                      error_basis basis) {
  double certified = 2;
  for (const auto& point : curve) {
    const int n = point.n_of(basis);
    if (n < n_first)
      continue;
    if (!is_bounded(point.n_errors, n, max_error, confidence))
      break;
    certified = point.threshold;
  }
  return certified;
}

} // namespace

double certified_threshold(std::span<const curve_point> curve, double max_error, double confidence,
                           error_basis basis) {
  if (basis == error_basis::per_request)
    return certified_from(curve, 1, max_error, confidence, basis);
  constexpr std::array starts = {1, 4, 16};
  const double confidence_each = 1 - (1 - confidence) / starts.size();
  const int n_least = n_for_a_bound(max_error, confidence_each);
  double certified = 2;
  for (const int start : starts)
    if (n_least <= std::numeric_limits<int>::max() / start)
      certified =
          std::min(certified, certified_from(curve, start * n_least, max_error, confidence_each, basis));
  return certified;
}

double cache_calibration::floor_for(double max_error) const {
  double threshold = 2;
  for (const auto& one : floors)
    if (one.max_error <= max_error)
      threshold = std::min(threshold, one.threshold);
  return threshold;
}

cache_calibration calibrate(std::span<const labelled_lookup> lookups, std::span<const double> promises,
                            double confidence, error_basis basis) {
  cache_calibration made;
  made.basis = basis;
  const auto curve = curve_of(lookups, true);
  for (const double max_error : promises)
    made.floors.push_back({max_error, certified_threshold(curve, max_error, confidence, basis)});
  std::vector<std::vector<graded>> records;
  for (const auto& one : lookups)
    if (one.passes_guards && one.similarity > 0)
      records.push_back({{static_cast<float>(one.similarity), one.right}});
  made.prior = fit_prior(records);
  return made;
}

} // namespace souffleur
