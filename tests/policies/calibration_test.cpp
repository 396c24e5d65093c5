#include "policies/calibration.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <random>

using namespace souffleur;

namespace {

std::vector<labelled_lookup> any_lookups() {
  std::vector<labelled_lookup> lookups(*rc::gen::inRange<std::size_t>(0, 600));
  const int n_of_20_wrong = *rc::gen::element(0, 0, 1, 2, 8);
  for (auto& one : lookups) {
    one.similarity = *rc::gen::inRange(50, 101) / 100.0;
    one.passes_guards = *rc::gen::inRange(0, 5) > 0;
    one.right = *rc::gen::inRange(0, 20) >= n_of_20_wrong;
  }
  return lookups;
}

error_basis any_basis() { return *rc::gen::element(error_basis::per_request, error_basis::per_hit); }

double right_with(double similarity) { return 1 / (1 + std::exp(-25 * (similarity - 0.8))); }

/// Similarities uniform from 0.5 to 1, right by one logistic law.
std::vector<labelled_lookup> drawn_lookups(int n, std::mt19937_64& random) {
  std::uniform_real_distribution<double> uniform;
  std::vector<labelled_lookup> lookups;
  for (int i = 0; i < n; ++i) {
    const double s = 0.5 + uniform(random) / 2;
    lookups.push_back({s, true, uniform(random) < right_with(s)});
  }
  return lookups;
}

/// What serving from `threshold` on really costs under that law.
double true_error(double threshold, error_basis basis) {
  if (threshold > 1)
    return 0;
  constexpr int n = 2000;
  double wrong = 0;
  for (int i = 0; i < n; ++i)
    wrong += (1 - right_with(threshold + (1 - threshold) * (i + 0.5) / n)) / n;
  return basis == error_basis::per_hit ? wrong : wrong * (1 - threshold) / 0.5;
}

} // namespace

RC_GTEST_PROP(CalibrationCurve, CountsAtEachThreshold, ()) {
  const auto lookups = any_lookups();
  const bool guarded = *rc::gen::arbitrary<bool>();
  for (const auto& point : curve_of(lookups, guarded)) {
    int n_hits = 0;
    int n_errors = 0;
    for (const auto& one : lookups)
      if (one.similarity >= point.threshold && (one.passes_guards || !guarded)) {
        ++n_hits;
        n_errors += one.right ? 0 : 1;
      }
    RC_ASSERT(point.n_hits == n_hits && point.n_errors == n_errors);
    RC_ASSERT(point.n_requests == static_cast<int>(lookups.size()));
  }
}

TEST(UpperBound, IsThatOfClopperAndPearson) {
  // With no event: 1 - (1 - confidence)^(1/n); 299 clean hits certify 1 %, 149 certify 2 %.
  EXPECT_NEAR(upper_bound(0, 298, 0.95), 1 - std::pow(0.05, 1 / 298.0), 1e-9);
  EXPECT_GT(upper_bound(0, 298, 0.95), 0.01);
  EXPECT_LE(upper_bound(0, 299, 0.95), 0.01);
  EXPECT_LE(upper_bound(0, 149, 0.95), 0.02);
  EXPECT_GT(upper_bound(0, 148, 0.95), 0.02);
  EXPECT_NEAR(upper_bound(5, 100, 0.95), 0.1023, 5e-4); // tables of the binomial distribution
  EXPECT_EQ(upper_bound(0, 0, 0.95), 1);
  EXPECT_EQ(upper_bound(3, 3, 0.95), 1);
  EXPECT_LT(upper_bound(60, 12'000, 0.95), 0.0063);
}

// C4, C8. Planted bugs that it caught: it goes on after the first bound that does not hold; floors too
// low; the floor of a weaker promise.
RC_GTEST_PROP(Certification, GivesNoThresholdBelowOneThatFails, ()) {
  const auto lookups = any_lookups();
  const auto basis = any_basis();
  const auto curve = curve_of(lookups, true);
  const double max_error = *rc::gen::element(0.02, 0.05, 0.2);
  const double threshold = certified_threshold(curve, max_error, 0.95, basis);
  // Some sequence got there without a bound that was exceeded.
  const bool is_per_hit = basis == error_basis::per_hit;
  const double confidence = is_per_hit ? 1 - 0.05 / 3 : 0.95;
  const int n_least = static_cast<int>(std::ceil(std::log(1 - confidence) / std::log1p(-max_error)));
  bool is_reached = threshold > 1;
  for (const int n_first : {n_least, 4 * n_least, 16 * n_least}) {
    bool holds = true;
    bool is_in_sequence = false;
    for (const auto& point : curve)
      if (point.threshold >= threshold && point.n_of(basis) >= (is_per_hit ? n_first : 1)) {
        holds = holds && upper_bound(point.n_errors, point.n_of(basis), confidence) <= max_error;
        is_in_sequence = is_in_sequence || point.threshold == threshold;
      }
    is_reached = is_reached || (holds && is_in_sequence);
  }
  RC_ASSERT(is_reached);
  const std::vector<double> promises = {0.005, max_error, 0.3};
  const auto made = calibrate(lookups, promises, 0.95, basis);
  RC_ASSERT(made.floor_for(max_error) == std::min(threshold, made.floor_for(0.005)));
  RC_ASSERT(made.floor_for(0.004) > 1);
  RC_ASSERT(made.floor_for(0.3) <= made.floor_for(max_error) &&
            made.floor_for(max_error) <= made.floor_for(0.005));
}

// C8. Planted bug that it caught: the share itself in place of its bound.
TEST(Certification, IsRightAsOftenAsItPromises) {
  constexpr int n_sets = 500;
  for (const auto basis : {error_basis::per_request, error_basis::per_hit}) {
    std::mt19937_64 random{11};
    int n_broken = 0;
    int n_served = 0;
    for (int i = 0; i < n_sets; ++i) {
      const auto curve = curve_of(drawn_lookups(800, random), true);
      const double threshold = certified_threshold(curve, 0.05, 0.95, basis);
      n_broken += true_error(threshold, basis) > 0.05 ? 1 : 0;
      n_served += threshold <= 1 ? 1 : 0;
    }
    EXPECT_GT(n_served, n_sets / 10);
    EXPECT_LE(n_broken, 0.05 * n_sets + 3 * std::sqrt(0.05 * 0.95 * n_sets));
  }
}
