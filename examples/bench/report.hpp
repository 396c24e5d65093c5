// Measurements for people and for programs.
#pragma once

#include "examples/bench/measurement.hpp"

#include <ostream>
#include <string>
#include <vector>

namespace souffleur::bench {

/// What all measurements of a run have in common.
struct run_header {
  std::string cpu;
  std::string isa; ///< that the kernels use
  int n_repeats = 0;
};

/// One table for all measurements of the same work and columns, in the order of the first of each; a figure's
/// cell is min / median / max.
void write_table(std::ostream& out, const run_header& header, const std::vector<measurement>& all);

/// {"cpu", "isa", "repeats", "measurements": [{"work", setting..., figure: {"min", "median", "max"}...}]}
void write_json(std::ostream& out, const run_header& header, const std::vector<measurement>& all);

} // namespace souffleur::bench
