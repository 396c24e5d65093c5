// Clients, a router and workers, in simulated time. Policies are the server's own objects.
#pragma once

#include "examples/cluster_simulator/simulated_worker.hpp"
#include "examples/cluster_simulator/transcript.hpp"
#include "examples/load/arrivals.hpp"
#include "examples/load/workload.hpp"
#include "policies/routing_policy.hpp"

#include <functional>
#include <string>
#include <vector>

namespace souffleur::cluster_simulation {

struct cluster_settings {
  int n_workers = 1;
  std::string routing_policy = "cache_aware";
  routing_options routing;
  worker_settings worker;
  worker_costs costs = default_costs();
  text_measure measure;
  bool equal_answers = false;    ///< to the same words, as at temperature 0; else no two answers are the same
  std::uint64_t chance_seed = 1; ///< of how much longer each step takes (`worker_costs::decode_spread`)
  double client_network_us = 100; ///< one way, between a client and the server or router
  double worker_network_us =
      100; ///< one way, between router and worker; a server of one worker has no router
};

struct offered_load {
  std::function<std::unique_ptr<load::arrival_process>()> arrivals; ///< of dialogues; null: a closed loop
  int n_clients = 1;                                                ///< of the closed loop
  int n_requests = 100; ///< dialogues begin until they have so many
  int n_output_tokens = 32;
};

struct request_outcome {
  std::uint64_t dialogue = 0;
  int turn = 0;
  nanoseconds intended = 0;
  nanoseconds first = 0; ///< its first token is at the client
  nanoseconds ended = 0;
  std::size_t worker = 0;
  int n_prompt_tokens = 0;
  int n_cached_tokens = 0;
};

struct cluster_outcome {
  std::vector<request_outcome> requests; ///< as they were begun
  std::vector<nanoseconds> busy;         ///< of each worker
  nanoseconds duration = 0;              ///< from the first request to the last end
};

/// Called now and then with the number of requests that were placed so far; may be empty.
using progress_report = std::function<void(int)>;

/// The same for the same arguments. REQUIRES: known names of policies.
cluster_outcome simulate(const cluster_settings& settings, const load::workload& what,
                         const offered_load& load, const progress_report& progress);

} // namespace souffleur::cluster_simulation
