// Figures of repeated timings.
#pragma once

#include <boost/json/object.hpp>

#include <chrono>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace souffleur::bench {

struct summary {
  double min = 0;
  double median = 0;
  double max = 0;
};

/// REQUIRES: at least one value.
summary summary_of(std::vector<double> values);

/// One value a repetition.
using samples = std::vector<double>;

/// The summary of f(sample) over all samples.
template <class F>
summary summary_of(const samples& values, F f) {
  std::vector<double> mapped;
  for (const double value : values)
    mapped.push_back(f(value));
  return summary_of(std::move(mapped));
}

/// What was run, how, and what came out.
struct measurement {
  std::string work;                                     ///< "prefill", "decode", ...
  boost::json::object settings;                         ///< e.g. {"model": "smollm2", "threads": 2}
  std::vector<std::pair<std::string, summary>> figures; ///< by a name that ends in its unit
};

template <class F>
double seconds_of(F&& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Seconds of each repetition, after one that is not counted.
samples timed_repeats(int n_repeats, const std::function<void()>& work);

/// The mean of as many calls as last about 40 ms together, one at least: a figure's single timing.
double mean_seconds_of(const std::function<void()>& call);

} // namespace souffleur::bench
