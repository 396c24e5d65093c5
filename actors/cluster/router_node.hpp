// Where workers of other processes come in.
#pragma once

#include "actors/cluster/cluster_config.hpp"
#include "actors/cluster/worker_network.hpp"
#include "engine/result.hpp"

#include <cstdint>
#include <memory>
#include <string>

namespace souffleur {

/// What a worker must have.
struct worker_terms {
  std::string fingerprint;
  int n_kv_tokens = 0; ///< at least: what the router lets in has to have room
};

class router_node : public worker_network {
public:
  /// Listens from now on. Fails if the address cannot be bound.
  static result<std::shared_ptr<router_node>> start(const cluster_config& config, const worker_terms& terms);
  virtual std::uint16_t port() const = 0;
};

} // namespace souffleur
