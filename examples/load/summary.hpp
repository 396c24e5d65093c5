// The figures of one load. Definitions are those of vLLM's benchmark, see README.md.
#pragma once

#include "examples/load/histogram.hpp"
#include "examples/load/load_run.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace souffleur::load {

/// Bounds that a request has to keep to count as good, in milliseconds.
struct service_level {
  std::optional<double> ttft_ms;
  std::optional<double> itl_ms; ///< of the mean gap between a request's outputs
  std::optional<double> tpot_ms;
  std::optional<double> e2el_ms;
  bool any() const { return ttft_ms || itl_ms || tpot_ms || e2el_ms; }
};

/// Of one completed request, in milliseconds; none where it does not exist.
struct request_latencies {
  std::optional<double> ttft_ms;
  std::optional<double> tpot_ms;
  std::optional<double> mean_itl_ms;
  std::optional<double> normalized_ms; ///< end to end, by output token
  double e2el_ms = 0;
  double client_queue_ms = 0; ///< from when it was to be sent until it was
};

/// `queued_apart`: the client holds requests back (a bound on those in flight), and latencies count from when
/// they were sent; else from when they were to be sent, so that a stalled server cannot hide behind a client
/// that waits.
request_latencies latencies_of(const request_record& record, bool queued_apart);
bool keeps(const service_level& level, const request_latencies& latencies);

/// Histograms are in microseconds.
struct load_summary {
  int n_completed = 0;
  int n_cancelled = 0;
  int n_failed = 0;
  double duration_s = 0;
  std::int64_t n_prompt_tokens = 0; ///< of completed and cancelled requests, as all below
  std::int64_t n_cached_tokens = 0;
  std::int64_t n_output_tokens = 0;
  bool counted_by_server =
      true; ///< output tokens, for all requests that were completed; else outputs were counted
  double requests_per_s = 0;
  double output_tokens_per_s = 0;
  double total_tokens_per_s = 0;
  std::optional<double> goodput; ///< requests per second that kept the service level
  histogram ttft, itl, tpot, e2el, e2el_including_client_queue, client_queue, normalized;
  int n_probes = 0;
  histogram probe_ttft;               ///< of probes
  std::map<std::string, int> sources; ///< completed requests by where Souffleur took the answer from
  std::map<std::string, int> errors;
};

load_summary summarize(const load_outcome& outcome, bool queued_apart, const service_level& level);

/// A latency as reports name it.
struct named_latency {
  const char* name;
  const char* title;
  const histogram load_summary::*values;
};
const std::vector<named_latency>& named_latencies();

} // namespace souffleur::load
