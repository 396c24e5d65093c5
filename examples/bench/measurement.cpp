#include "examples/bench/measurement.hpp"

#include <algorithm>

namespace souffleur::bench {

summary summary_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const auto middle = values.size() / 2;
  const double median = values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
  return {values.front(), median, values.back()};
}

samples timed_repeats(int n_repeats, const std::function<void()>& work) {
  work();
  samples times;
  for (int i = 0; i < n_repeats; ++i)
    times.push_back(seconds_of(work));
  return times;
}

double mean_seconds_of(const std::function<void()>& call) {
  constexpr double enough_seconds = 0.04;
  int n = 0;
  double spent = 0;
  while (n == 0 || spent + spent / n < enough_seconds) {
    spent += seconds_of(call);
    ++n;
  }
  return spent / n;
}

} // namespace souffleur::bench
