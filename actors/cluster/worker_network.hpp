// A router's workers as its dispatcher sees them: names that say and are told something, wherever they are.
#pragma once

#include "actors/messages/cluster.hpp"
#include "policies/routing_policy.hpp"

#include <functional>
#include <string>
#include <variant>

namespace souffleur {

struct worker_joined {
  worker_profile profile;
};
/// Crashed, out of reach, or gone in peace.
struct worker_left {
  std::string why;
};

struct worker_news {
  worker_id worker = 0;
  std::variant<worker_joined, worker_left, step_batch, worker_status, shipped_page, page_receipt,
               prefill_ended>
      what;
};
using worker_listener = std::function<void(worker_news)>;

/// Thread-safe.
class worker_network {
public:
  virtual ~worker_network() = default;
  /// From now on `listener`, and no earlier one, is told; first of the workers that are there, whose orders
  /// so far are void. The news of one worker come in their order. Called on any thread.
  virtual void listen(worker_listener listener) = 0;
  /// What is sent to a worker that is gone is lost.
  virtual void send(worker_id worker, router_message message) = 0;
};

} // namespace souffleur
