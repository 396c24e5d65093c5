// The tables and the plot of what the strategies cost.
#pragma once

#include "examples/cache_simulator/replay.hpp"

#include <iosfwd>

namespace souffleur::cache_simulator {

/// All strategies on one trace with one size of the pool; Belady's bound last.
struct comparison {
  std::string trace_name;
  std::uint64_t seed = 0;
  int n_pages = 0;
  std::vector<outcome> outcomes;
};

/// Traces of one name with one size of the pool as one, whatever their seeds.
std::vector<comparison> over_seeds(const std::vector<comparison>& all);

/// Markdown: hit rate / recompute cost, both in percent.
void print_table(std::ostream& out, const std::vector<comparison>& all);
/// Markdown: the worst hit rate of each strategy as a part of the best strategy's on the same trace and pool,
/// and its worst difference to lru's in points; and where that was. Only the latter needs lru.
void print_summary(std::ostream& out, const std::vector<comparison>& all);
/// SVG: one bar of hit rate a strategy, one group a comparison.
void plot(std::ostream& out, const std::vector<comparison>& all);

} // namespace souffleur::cache_simulator
