// What a run has done so far, for whoever watches it.
#pragma once

#include "examples/load/histogram.hpp"

#include <cstdint>

namespace souffleur::load {

struct live_counts {
  std::int64_t n_in_flight = 0;
  std::int64_t n_ended = 0;
  std::int64_t n_failed = 0;
  std::int64_t n_outputs = 0;
  histogram ttft_us; ///< since somebody last looked
};

} // namespace souffleur::load
