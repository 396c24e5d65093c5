// One worker: continuous batching in steps, as the server's scheduler plans them, and a prefix cache.
#pragma once

#include "examples/cluster_simulator/event_queue.hpp"
#include "examples/cluster_simulator/page_shelf.hpp"
#include "examples/cluster_simulator/worker_costs.hpp"
#include "policies/scheduling_policy.hpp"

#include <deque>
#include <memory>
#include <string>
#include <vector>

namespace souffleur::cluster_simulation {

/// The server's settings of the same names.
struct worker_settings {
  std::string scheduling_policy = "deficit_lpm";
  int max_batch_tokens = 256;
  int join_prefill_tokens = 64;
  int max_running = 32;
  std::size_t n_kv_pages = 2048;
  bool prefix_cache = true;
};

/// A request as its worker sees it. Names are the caller's and outlive it.
struct worker_request {
  std::size_t id = 0;
  int n_prompt_tokens = 1;
  int n_output_tokens = 1;
  std::span<const page_hash> prompt;
  std::span<const page_hash> whole; ///< prompt and answer
};

class simulated_worker {
public:
  explicit simulated_worker(const worker_settings& settings);

  void take(const worker_request& request);
  bool is_stepping() const { return stepping_; }
  bool has_work() const { return !waiting_.empty() || !running_.empty(); }

  /// Plans a step. REQUIRES: has_work(), no step under way.
  step_rows begin_step();

  /// What came out of the step.
  struct outcome {
    struct begun {
      std::size_t id = 0;
      int n_cached_tokens = 0; ///< of its prompt, found when it entered the batch
    };
    std::vector<begun> first; ///< requests with their first token
    std::vector<std::size_t> ended;
  };
  outcome end_step();

private:
  struct sequence {
    worker_request what;
    std::uint64_t arrival = 0;
    int n_passed_over = 0;
    int n_cached = 0;
    int n_computed = 0; ///< of the prompt
    int n_output = 0;
    int n_rows = 0; ///< in the step under way
    bool decodes() const { return n_computed >= what.n_prompt_tokens; }
  };

  void admit();
  bool is_under_way(const sequence& waiting) const;
  waiting_request view_of(const sequence& who, int n_cached) const;
  int n_cached_now(const sequence& who) const;

  const worker_settings& settings_;
  std::unique_ptr<scheduling_policy> scheduling_;
  page_shelf cache_;
  std::deque<sequence> waiting_;
  std::vector<sequence> running_; ///< by admission
  std::uint64_t n_arrived_ = 0;
  bool stepping_ = false;
};

} // namespace souffleur::cluster_simulation
