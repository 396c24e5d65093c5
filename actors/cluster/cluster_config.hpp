// Every setting of a cluster, with the default that serves.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace souffleur {

struct cluster_config {
  std::string role = "all";              ///< "all": no cluster; "router"; "worker"; "drafter"
  std::string serves = "both";           ///< a worker: "both", "prefill" or "decode"
  std::string policy = "cache_aware";    ///< one of routing_policy_names
  double load_factor = 1.25;             ///< of consistent_hash
  std::string address = "127.0.0.1";     ///< on which the router waits for workers, a drafter for its server
  std::uint16_t port = 8090;             ///< likewise; 0: any free one
  std::string router = "127.0.0.1:8090"; ///< to which a worker connects
  std::string secret;                    ///< that all know; empty: there is none
  std::string certificate = "none";      ///< PEM files for TLS between nodes; or "none": no TLS
  std::string key = "none";
  std::string authority = "none"; ///< that signed the nodes' certificates; others are not talked to
  std::chrono::milliseconds heartbeat{500};
  std::chrono::milliseconds dead_after{5000};    ///< of silence
  std::chrono::milliseconds worker_wait{30'000}; ///< that a stream waits for a worker if there is none
  int n_batches = 32;                            ///< that a worker may have sent and the router not yet read
  int max_held_tokens =
      65536; ///< of a worker's streams, unsent; beyond it the stream that has most is handed over

  int prefill_min_tokens = 256; ///< of a prompt, not cached, that make a prefill worker compute it
  std::chrono::milliseconds prefill_timeout{
      10'000}; ///< without a page; then the prompt is computed where it decodes

  bool has_tls() const { return certificate != "none"; }
};

} // namespace souffleur
