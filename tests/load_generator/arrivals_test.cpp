#include "examples/load/arrivals.hpp"
#include "tests/engine/scratch_folder.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <functional>
#include <vector>

using namespace souffleur::load;

namespace {

std::vector<double> first_times(arrival_process& process, int n) {
  std::vector<double> times;
  for (int i = 0; i < n; ++i)
    times.push_back(*process.next());
  return times;
}

std::vector<double> gaps_of(const std::vector<double>& times) {
  std::vector<double> gaps;
  double before = 0;
  for (const double time : times) {
    gaps.push_back(time - before);
    before = time;
  }
  return gaps;
}

/// Regularised lower incomplete gamma function, by its series.
double gamma_law(double shape, double x) {
  if (x <= 0)
    return 0;
  double term = 1 / shape;
  double sum = term;
  for (int n = 1; n < 2000 && term > sum * 1e-15; ++n) {
    term *= x / (shape + n);
    sum += term;
  }
  return sum * std::exp(-x + shape * std::log(x) - std::lgamma(shape));
}

/// Largest distance between the sample's distribution and `law`, times the root of the sample's size.
/// Above 2.2 with a probability of 0.00013 if the sample follows the law.
double kolmogorov_smirnov(std::vector<double> sample, const std::function<double(double)>& law) {
  std::sort(sample.begin(), sample.end());
  const auto n = static_cast<double>(sample.size());
  double largest = 0;
  for (std::size_t i = 0; i < sample.size(); ++i) {
    const double at = law(sample[i]);
    largest = std::max({largest, at - static_cast<double>(i) / n, static_cast<double>(i + 1) / n - at});
  }
  return largest * std::sqrt(n);
}

constexpr double critical = 2.2;
constexpr int n_arrivals = 2000;

arrival_options steady(double rate, double burstiness) {
  // Seeds are enumerated, not generated: a level of 0.00013 is for a few hundred of them.
  return {rate, rate, 0, burstiness,
          static_cast<std::uint64_t>(*rc::gen::resize(rc::kNominalSize, rc::gen::inRange(1, 100)))};
}

} // namespace

RC_GTEST_PROP(Arrivals, PoissonGapsFollowTheExponentialLaw, ()) {
  const double rate = *rc::gen::element(0.5, 3.0, 200.0);
  const auto gaps = gaps_of(first_times(*make_arrivals(steady(rate, 1)), n_arrivals));
  RC_ASSERT(kolmogorov_smirnov(gaps, [&](double x) { return -std::expm1(-rate * x); }) < critical);
}

RC_GTEST_PROP(Arrivals, BurstyGapsFollowTheGammaLawOfTheirShape, ()) {
  const double rate = *rc::gen::element(0.5, 3.0, 200.0);
  const double shape = *rc::gen::element(0.25, 0.5, 2.0, 8.0);
  const auto gaps = gaps_of(first_times(*make_arrivals(steady(rate, shape)), n_arrivals));
  RC_ASSERT(kolmogorov_smirnov(gaps, [&](double x) { return gamma_law(shape, x * rate * shape); }) <
            critical);
}

// Time is stretched so that equal numbers are expected in equal stretches of it.
RC_GTEST_PROP(Arrivals, ARampHasTheRateThatItShouldAtEachTime, ()) {
  const double a = *rc::gen::element(1.0, 20.0, 50.0);
  const double b = *rc::gen::element(2.0, 20.0, 80.0);
  const double until = *rc::gen::element(1.0, 10.0, 100.0);
  auto options = steady(a, 1);
  options.end_rate = b;
  options.ramp_s = until;
  const auto expected = [&](double t) {
    const double in_ramp = std::min(t, until);
    return a * in_ramp + (b - a) * in_ramp * in_ramp / (2 * until) + b * std::max(0.0, t - until);
  };
  auto times = first_times(*make_arrivals(options), n_arrivals);
  std::transform(times.begin(), times.end(), times.begin(), expected);
  RC_ASSERT(kolmogorov_smirnov(gaps_of(times), [](double x) { return -std::expm1(-x); }) < critical);
}

TEST(Arrivals, TheTestOfTheLawTellsShapesApart) {
  const auto gaps = gaps_of(first_times(*make_arrivals({3, 3, 0, 2, 1}), n_arrivals));
  EXPECT_GT(kolmogorov_smirnov(gaps, [&](double x) { return -std::expm1(-3 * x); }), critical);
}

RC_GTEST_PROP(Arrivals, TheSameSeedGivesTheSameTimesAndTheyNeverFall, ()) {
  auto options = steady(5, 0.5);
  options.end_rate = 50;
  options.ramp_s = 3;
  const auto times = first_times(*make_arrivals(options), 300);
  RC_ASSERT(times == first_times(*make_arrivals(options), 300));
  RC_ASSERT(std::is_sorted(times.begin(), times.end()));
}

TEST(Arrivals, ATraceIsReadFromNumbersAndFromObjectsWithMilliseconds) {
  const souffleur::testing::scratch_folder folder;
  const auto path = folder.path() / "trace.jsonl";
  std::ofstream{path} << "12.5\n{\"timestamp\": 10500, \"input_length\": 3}\n\n11\n";
  const auto trace = open_trace(path, 2);
  ASSERT_TRUE(trace) << trace.error();
  EXPECT_DOUBLE_EQ(*(*trace)->next(), 0);
  EXPECT_DOUBLE_EQ(*(*trace)->next(), 0.25);
  EXPECT_DOUBLE_EQ(*(*trace)->next(), 1);
  EXPECT_FALSE((*trace)->next());
}

TEST(Arrivals, ATraceThatCannotBeReadSaysWhere) {
  const souffleur::testing::scratch_folder folder;
  const auto path = folder.path() / "trace.jsonl";
  std::ofstream{path} << "1\n\nnever\n";
  const auto broken = open_trace(path, 1);
  ASSERT_FALSE(broken);
  EXPECT_NE(broken.error().find("line 3"), std::string::npos) << broken.error();
  EXPECT_FALSE(open_trace(folder.path() / "missing", 1));
}
