// The router's knowledge of its workers, and its policy.
#pragma once

#include "policies/prefix_directory.hpp"
#include "policies/routing_policy.hpp"

#include <memory>
#include <string>
#include <vector>

namespace souffleur::cluster_simulation {

class request_router {
public:
  request_router(const std::string& policy, const routing_options& options, int n_workers,
                 std::size_t n_pages)
      : policy_(make_routing_policy(policy, options)), workers_(static_cast<std::size_t>(n_workers)) {
    for (std::size_t i = 0; i < workers_.size(); ++i) {
      workers_[i].id = i;
      if (policy_->looks_at_prefixes())
        directory_.add_worker(i, n_pages);
    }
  }

  struct placement {
    std::size_t worker = 0;
    int n_waiting_tokens = 0; ///< that it is thought to compute before the first token
  };

  placement place(const routing_request& request, std::span<const page_hash> prompt, int page_tokens) {
    std::vector<prefix_directory::match> matches;
    if (policy_->looks_at_prefixes())
      matches = directory_.find(prompt);
    for (const auto& match : matches)
      workers_[match.worker].n_matched_tokens = match.n_pages * page_tokens;
    const auto chosen = *policy_->choose(request, workers_);
    const int n_waiting = std::max(1, request.n_prompt_tokens - workers_[chosen].n_matched_tokens);
    for (const auto& match : matches)
      workers_[match.worker].n_matched_tokens = 0;
    if (policy_->looks_at_prefixes())
      directory_.insert(chosen, prompt);
    ++workers_[chosen].n_streams;
    workers_[chosen].n_waiting_tokens += n_waiting;
    return {chosen, n_waiting};
  }
  void saw_first_token(const placement& of) { workers_[of.worker].n_waiting_tokens -= of.n_waiting_tokens; }
  void saw_end(const placement& of, std::span<const page_hash> whole) {
    --workers_[of.worker].n_streams;
    if (policy_->looks_at_prefixes())
      directory_.insert(of.worker, whole);
  }

private:
  std::unique_ptr<routing_policy> policy_;
  prefix_directory directory_;
  std::vector<worker_view> workers_;
};

} // namespace souffleur::cluster_simulation
