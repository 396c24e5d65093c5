// Who of the waiting enters the batch next, who leaves it, and who of it has no rows in a step.
#pragma once

#include "policies/token.hpp"

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
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
  int n_passed_over = 0;   ///< later arrivals that were served before it
  std::int64_t deadline_ms = std::numeric_limits<std::int64_t>::max(); ///< on any one scale
  std::string_view tenant;
};

/// A request in the batch as the policy sees it.
struct running_request {
  sequence_id id = 0;
  std::string_view tenant;
  bool has_output = false; ///< its first token is out
  int n_sat_out = 0;       ///< steps in succession, up to now, in which it had no rows by the policy's choice
};

/// The starvation bound of `lpm`, `deficit_lpm` and `deadline`: who was passed over so often goes before
/// whoever came later (with `deficit_lpm`: of its tenant). If the first k of an order are served before the
/// next order is asked for, a request is passed over at most max_passed_over + k - 1 times.
inline constexpr int max_passed_over = 32;

/// The quantum Q of `deficit_lpm`. While two tenants have requests waiting, the tokens that they were served
/// (computed, not cached) differ by less than Q + what those cost that one of them
/// has in the batch at once; if requests run one after the other: by less than Q + the largest request. For a
/// tenant that came later, the difference since then is less than twice that.
inline constexpr int fair_quantum_tokens = 512;

/// The starvation bound of sits_out().
inline constexpr int max_sat_out = 4;

/// Not thread-safe where it has a state: one scheduler owns it.
class scheduling_policy {
public:
  virtual ~scheduling_policy() = default;
  virtual std::string_view name() const = 0;
  /// Whether n_cached_tokens matters to order(). It costs a look into the prefix tree.
  virtual bool looks_at_prefixes() const { return false; }
  /// A permutation of the ids in `waiting`, first to be admitted first.
  virtual std::vector<sequence_id> order(std::span<const waiting_request> waiting) const = 0;
  /// Whose turn is next, the first of order(). REQUIRES: somebody waits.
  virtual sequence_id first(std::span<const waiting_request> waiting) const { return order(waiting).front(); }
  /// Whether yields() ever names anybody. Then first() is asked in every step with a full batch.
  virtual bool gives_places() const { return false; }
  /// Who of `running` (in order of admission) leaves the batch for `next`, which finds it full. Nobody:
  /// `next` waits.
  virtual std::optional<sequence_id> yields(std::span<const running_request> /*running*/,
                                            const waiting_request& /*next*/) const {
    return std::nullopt;
  }
  /// Who of `running` (in order of admission; all could compute) has no rows in the coming step, so that
  /// another's first token comes sooner. Never all, and nobody for more than max_sat_out steps in succession.
  virtual std::vector<sequence_id> sits_out(std::span<const running_request> /*running*/) const { return {}; }
  /// A request of the tenant, the first in an order, has entered the batch.
  virtual void admitted(std::string_view /*tenant*/) {}
  /// `n_tokens` of the tenant's prompts and outputs were computed; what was cached does not count.
  virtual void served(std::string_view /*tenant*/, int /*n_tokens*/) {}
};

/// Names: "fcfs", "priority", "lpm", "deficit_lpm", "deadline". Null if the name is unknown.
std::unique_ptr<scheduling_policy> make_scheduling_policy(std::string_view name);

} // namespace souffleur
