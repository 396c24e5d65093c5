// When an open loop sends: times that do not depend on how the server keeps up.
#pragma once

#include "engine/result.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace souffleur::load {

class arrival_process {
public:
  virtual ~arrival_process() = default;
  /// Seconds since the beginning, never falling. None: nobody comes any more.
  virtual std::optional<double> next() = 0;
};

struct arrival_options {
  double rate = 1;     ///< per second, at the beginning
  double end_rate = 1; ///< from `ramp_s` on; between, the rate goes there in a straight line
  double ramp_s = 0;
  double burstiness =
      1; ///< shape of the Gamma law of gaps, whose coefficient of variation is 1/sqrt(shape); 1: Poisson
  std::uint64_t seed = 1;
};

/// Endless. The gaps of a process of rate 1 are drawn, and time is stretched so that the rate is as asked
/// for.
std::unique_ptr<arrival_process> make_arrivals(const arrival_options& options);

/// A line of the file is a number, in seconds, or a JSON object with "timestamp" in milliseconds, as in
/// Mooncake's traces. Times count from the first; `speed` 2 halves them.
result<std::unique_ptr<arrival_process>> open_trace(const std::string& path, double speed);

} // namespace souffleur::load
