// The table and the plot of what the strategies cost.
#pragma once

#include "examples/cache_simulator/replay.hpp"

#include <iosfwd>

namespace souffleur::cache_simulator {

/// All strategies on one trace with one size of the pool.
struct comparison {
  std::string trace_name;
  int n_pages = 0;
  std::vector<outcome> outcomes;
};

/// Markdown: hit rate / recompute cost, both in percent.
void print_table(std::ostream& out, const std::vector<comparison>& all);
/// SVG: one bar of hit rate a strategy, one group a comparison.
void plot(std::ostream& out, const std::vector<comparison>& all);

} // namespace souffleur::cache_simulator
