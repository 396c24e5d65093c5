// A serving system at a router's service.
#pragma once

#include "actors/cluster/cluster_config.hpp"
#include "actors/serving_system.hpp"

#include <memory>

namespace souffleur {

/// Connects to the router, again and again while it is away, and makes the streams that it orders.
/// Destruction ends that; streams that are left then are the router's to place elsewhere.
class worker_node {
public:
  /// `service` must outlive it. Nothing waits for the router to be there.
  static std::unique_ptr<worker_node> start(const cluster_config& config, const worker_profile& profile,
                                            serving_system& service);
  virtual ~worker_node() = default;
  /// From now on the router gives it nothing new.
  virtual void drain() = 0;
  /// What runs goes back to the router, which has it done elsewhere.
  virtual void hand_over() = 0;
  /// Of the router, that have not ended.
  virtual int n_streams() const = 0;
};

} // namespace souffleur
