// Two runs side by side: what changed, and whether that is more than chance.
#pragma once

#include "engine/result.hpp"

#include <boost/json/object.hpp>

#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

namespace souffleur::load {

enum class verdict : std::uint8_t { better, worse, not_told_apart };

struct compared_figure {
  std::string load;
  std::string figure; ///< such as "TTFT p50 ms"
  double before = 0;
  double after = 0;
  double low = 0; ///< of after / before, 95 % confidence
  double high = 0;
  verdict said = verdict::not_told_apart;
};

struct comparison {
  std::vector<compared_figure> figures;
  std::vector<std::string> notes; ///< loads that only one of them has, failures, different workloads
  bool got_worse() const;
};

/// The interval of the ratio of `figure(after)` to `figure(before)` over samples drawn with replacement from
/// each, between the 2.5th and the 97.5th percentile of `n_draws` draws (Efron's percentile bootstrap).
/// Requests are taken as independent, which those of one load are not quite.
struct ratio_interval {
  double low = 0;
  double high = 0;
};
using sample_figure = double (*)(std::vector<double>& sample); ///< may reorder it
ratio_interval bootstrap_ratio(const std::vector<double>& before, const std::vector<double>& after,
                               sample_figure figure, int n_draws = 1000);

/// Of two files that --json wrote, as objects.
comparison compare_runs(const boost::json::object& before, const boost::json::object& after);
/// Fails if one is not such a file.
result<comparison> compare_files(const std::string& before, const std::string& after);
void write_comparison(std::ostream& out, const comparison& found);

} // namespace souffleur::load
