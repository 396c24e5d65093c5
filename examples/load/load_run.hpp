// One load: warm-up, then dialogues from a closed or an open loop, with probes beside them.
#pragma once

#include "examples/load/arrivals.hpp"
#include "examples/load/request_record.hpp"
#include "examples/load/target.hpp"
#include "examples/load/workload.hpp"

#include <boost/asio/io_context.hpp>

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>

namespace souffleur::load {

struct load_settings {
  int n_clients = 1; ///< closed loop: dialogues at a time, the next begins when one has ended
  std::function<std::unique_ptr<arrival_process>()>
      arrivals;            ///< open loop: when dialogues begin; null: closed
  int max_in_flight = 0;   ///< requests; 0: no bound. Those that wait for their turn are queued at the client
  int n_requests = 0;      ///< dialogues begin until they have so many; 0: no bound
  double duration_s = 0;   ///< dialogues begin for so long; 0: no bound
  int n_warm_up = 0;       ///< requests before, which do not count
  double probe_rate = 0;   ///< requests for one token a second, beside the load and its bound
  double cancel_share = 0; ///< of requests, that the client gives up after `cancel_after` outputs
  int cancel_after = 4;
  int max_tokens = 64;
  bool new_connections = false; ///< one for each request
  std::uint64_t seed = 1;
  std::uint64_t load = 0; ///< number of this load in its run: dialogues of two loads have nothing in common
};

struct load_outcome {
  std::deque<request_record> records; ///< as they were begun
  std::int64_t duration_ns = 0;       ///< from the first measured request to the end of the last
};

/// Runs on the calling thread until the last request has ended. `stopping` ends it early: nothing new begins.
load_outcome run_load(boost::asio::io_context& io, target& where, const workload& what,
                      const load_settings& how, live_counts& live, const bool& stopping);

} // namespace souffleur::load
