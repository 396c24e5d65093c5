// Who of the waiting enters the batch next.
#pragma once

#include "policies/token.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace souffleur {

/// A waiting request as the policy sees it.
struct waiting_request {
  sequence_id id = 0;
  std::uint64_t arrival = 0; ///< order of arrival
  int priority = 0;          ///< larger is more urgent
  int n_prompt_tokens = 0;
  int n_cached_tokens = 0; ///< of the prompt, estimated
};

class scheduling_policy {
public:
  virtual ~scheduling_policy() = default;
  virtual std::string_view name() const = 0;
  /// A permutation of the ids in `waiting`, first to be admitted first.
  virtual std::vector<sequence_id> order(std::span<const waiting_request> waiting) const = 0;
};

/// Names: "fcfs", "priority". Null if the name is unknown.
std::unique_ptr<scheduling_policy> make_scheduling_policy(std::string_view name);

} // namespace souffleur
