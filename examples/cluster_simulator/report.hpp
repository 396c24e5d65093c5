// What simulations say: a table, JSON, a page of charts.
#pragma once

#include "examples/cluster_simulator/cluster_simulation.hpp"
#include "examples/load/histogram.hpp"

#include <iosfwd>
#include <string>
#include <vector>

namespace souffleur::cluster_simulation {

struct cluster_figures {
  int n_workers = 0;
  std::string policy;
  int n_requests = 0;
  double n_prompt_tokens = 0; ///< of a request, on the mean
  double requests_per_s = 0;
  double output_tokens_per_s = 0;
  load::histogram ttft_us;
  load::histogram tpot_us;
  double hit_rate = 0;                   ///< of prompt tokens
  double imbalance = 0;                  ///< the busiest worker's time in steps by the mean one's
  double utilisation = 0;                ///< the mean worker's time in steps by the time that it took
  std::vector<request_outcome> requests; ///< for write_json(); empty: it says nothing of each
};

cluster_figures figures_of(const cluster_settings& settings, const offered_load& load,
                           const cluster_outcome& outcome);

void print_table(std::ostream& out, const std::vector<cluster_figures>& all);
void write_json(std::ostream& out, const std::string& command, const std::vector<cluster_figures>& all);
/// Curves over the number of workers, one a policy.
void write_html(std::ostream& out, const std::string& command, const std::vector<cluster_figures>& all);

} // namespace souffleur::cluster_simulation
