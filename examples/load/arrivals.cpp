#include "examples/load/arrivals.hpp"

#include <boost/json/parse.hpp>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <random>
#include <vector>

namespace souffleur::load {

namespace {

class random_arrivals final : public arrival_process {
public:
  explicit random_arrivals(const arrival_options& options)
      : options_(options), random_(options.seed), gap_(options.burstiness, 1 / options.burstiness) {}

  std::optional<double> next() override {
    events_ += gap_(random_);
    return time_of(events_);
  }

private:
  /// Solves expected events up to t = `events` for t.
  double time_of(double events) const {
    const double a = options_.rate;
    const double b = options_.end_rate;
    const double until = options_.ramp_s;
    const double of_ramp = (a + b) / 2 * until;
    if (events >= of_ramp)
      return until + (events - of_ramp) / b;
    const double slope = (b - a) / until;
    // The root that stays exact where the slope is nearly 0.
    return 2 * events / (a + std::sqrt(std::max(0.0, a * a + 2 * slope * events)));
  }

  arrival_options options_;
  std::mt19937_64 random_;
  std::gamma_distribution<double> gap_;
  double events_ = 0;
};

class traced_arrivals final : public arrival_process {
public:
  explicit traced_arrivals(std::vector<double> times) : times_(std::move(times)) {}
  std::optional<double> next() override {
    return next_ < times_.size() ? std::optional{times_[next_++]} : std::nullopt;
  }

private:
  std::vector<double> times_;
  std::size_t next_ = 0;
};

std::optional<double> seconds_in(const std::string& line) {
  boost::system::error_code error;
  const auto value = boost::json::parse(line, error);
  if (error)
    return std::nullopt;
  if (value.is_number())
    return value.to_number<double>();
  const auto* object = value.if_object();
  const auto* stamp = object != nullptr ? object->if_contains("timestamp") : nullptr;
  return stamp != nullptr && stamp->is_number() ? std::optional{stamp->to_number<double>() / 1000}
                                                : std::nullopt;
}

} // namespace

std::unique_ptr<arrival_process> make_arrivals(const arrival_options& options) {
  return std::make_unique<random_arrivals>(options);
}

result<std::unique_ptr<arrival_process>> open_trace(const std::string& path, double speed) {
  std::ifstream file{path};
  if (!file)
    return failure{"cannot read \"" + path + "\""};
  std::vector<double> times;
  int n_lines = 0;
  for (std::string line; std::getline(file, line);) {
    ++n_lines;
    if (line.find_first_not_of(" \t\r") == std::string::npos)
      continue;
    const auto time = seconds_in(line);
    if (!time)
      return failure{path + ", line " + std::to_string(n_lines) +
                     ": neither a number nor an object with a \"timestamp\""};
    times.push_back(*time / speed);
  }
  if (times.empty())
    return failure{path + ": no times"};
  std::sort(times.begin(), times.end());
  const double first = times.front();
  for (auto& time : times)
    time -= first;
  return std::unique_ptr<arrival_process>{std::make_unique<traced_arrivals>(std::move(times))};
}

} // namespace souffleur::load
