// Which worker of a cluster gets a request.
#pragma once

#include "policies/policy_registry.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace souffleur {

/// Names a worker from when it joined until it left; never reused.
using worker_id = std::uint64_t;

/// What is to be placed, as the policy sees it.
struct routing_request {
  /// Equal for requests that belong together: those of one conversation of one tenant.
  std::uint64_t conversation = 0;
  int n_prompt_tokens = 0;
};

/// A worker, as the router knows it.
struct worker_view {
  worker_id id = 0;
  bool takes_requests = true; ///< neither leaving nor silent
  int n_streams = 0;          ///< that it was given and that have not ended
  int n_waiting_tokens = 0;   ///< of those streams' prompts: still to be computed, estimated
  int n_matched_tokens = 0;   ///< of this request's prompt: it should have them in its prefix cache
};

struct routing_options {
  /// What a stream that is under way delays a new one by, in prompt tokens computed in that time. For
  /// `cache_aware` and `least_loaded`.
  int stream_cost_tokens = 32;
  /// c of `consistent_hash`, at least 1: no worker is given a stream beyond c times the mean.
  double load_factor = 1.25;
  /// Conversations that `sticky` remembers.
  std::size_t max_conversations = 65536;
};

/// Not thread-safe: one router owns it.
class routing_policy {
public:
  virtual ~routing_policy() = default;
  virtual std::string_view name() const = 0;
  /// Whether n_matched_tokens matters to choose(). It costs a look into the directory of prefixes.
  virtual bool looks_at_prefixes() const { return false; }
  /// Index of one that takes requests; nothing if none does. The caller does as it is told.
  virtual std::optional<std::size_t> choose(const routing_request& request,
                                            std::span<const worker_view> workers) = 0;
};

/// What the worker has to do before the request's first token, in prompt tokens. `cache_aware` takes the
/// least.
std::int64_t tokens_ahead(const routing_request& request, const worker_view& worker,
                          const routing_options& options);

/// The most streams that `consistent_hash` lets a worker have when one more is placed: c times the mean of
/// those that take requests, rounded up (Mirrokni, Thorup, Zadimoghaddam 2018).
std::int64_t bounded_load(std::span<const worker_view> workers, double load_factor);

inline constexpr std::string_view routing_policy_names =
    "cache_aware, least_loaded, round_robin, consistent_hash, sticky";

/// Names: routing_policy_names, and those registered. Null if the name is unknown.
std::unique_ptr<routing_policy> make_routing_policy(std::string_view name,
                                                    const routing_options& options = {});
/// From now on this process knows the policy `name`, which a configuration may then say. False if it knew
/// that name already. `make` may be called from any thread.
bool register_routing_policy(const std::string& name, policy_factory<routing_policy> make);

} // namespace souffleur
