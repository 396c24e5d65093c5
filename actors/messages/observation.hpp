// What who looks on is told of the serving actors: numbers, never a text nor the name of a tenant.
#pragma once

#include "actors/messages/report.hpp"
#include "policies/calibration.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace souffleur {

/// Counts of observations at most as large as each bound, and above the one before; one more count than
/// bounds.
struct value_histogram {
  std::vector<double> bounds;
  std::vector<std::uint64_t> counts;
  double sum = 0;
};

struct drafter_totals {
  token_origin drafter = token_origin::model;
  std::uint64_t n_drafts = 0;
  std::uint64_t n_drafted = 0;
  std::uint64_t n_accepted = 0;
};

/// What became of a lookup that found a similar question: its answer was left alone, drafted from, drafted
/// from and compared with what was generated, or served.
enum class similar_use : std::uint8_t { ignored, drafted, compared, served };
inline constexpr int n_similar_uses = 4;
constexpr const char* to_string(similar_use use) {
  constexpr const char* names[n_similar_uses] = {"ignored", "drafted", "compared", "served"};
  return names[static_cast<int>(use)];
}

/// Of the response cache, since the server began.
struct cache_totals {
  std::uint64_t n_lookups = 0;
  std::array<std::uint64_t, n_answer_sources> n_hits{};       ///< by answer_source; none of `model`
  std::array<value_histogram, n_similar_uses> similarities{}; ///< by similar_use
  std::array<std::uint64_t, 3> n_verdicts{};                  ///< by likeness
  answer_cache_counters memory{};
};

/// Steps are counted from 1. Those in which nothing was computed have no number.
struct numbered_step {
  std::uint64_t number = 0;
  std::shared_ptr<const step_report> step;
};

/// Totals are counted since the server began.
struct serving_snapshot {
  steady_time now{};
  int n_running = 0;
  int n_waiting = 0;
  kv_occupancy kv;
  std::uint64_t n_prompt_tokens_queried = 0; ///< looked up in the prefix tree
  std::uint64_t n_prompt_tokens_found = 0;
  std::uint64_t n_prefill_rows = 0;
  std::uint64_t n_output_tokens = 0;
  std::uint64_t n_requests = 0; ///< that have ended
  std::uint64_t n_steps = 0;
  std::vector<drafter_totals> drafters; ///< those that have drafted
  cache_totals cache;
  value_histogram ttft_s;
  value_histogram itl_s;
  value_histogram queue_s;
  value_histogram e2e_s;
  std::vector<numbered_step> steps; ///< in their order; the newest ones after the one that was asked for
};

/// The steps that had rows of a request, as far as they are remembered.
struct request_trace {
  request_report request;
  std::vector<numbered_step> steps;
  bool is_whole = true; ///< none of them is forgotten
};

/// What the response cache's policies go by here.
struct cache_rules {
  std::string policy = "off";
  double threshold = 0.9;
  double max_error = 0.01;
  cache_calibration calibration{};
};

/// A server that is not alive should be started again; one that is not ready should be asked nothing new.
struct service_health {
  bool is_alive = true;
  bool is_ready = true;
  std::string why;                       ///< not; empty: it is both
  std::vector<std::string> parts_down{}; ///< that are being restarted, or left out for a while
};

/// Callable from any thread; answers at once.
class observation_service {
public:
  virtual ~observation_service() = default;
  /// With at most `most_steps` steps after the one of that number.
  virtual serving_snapshot snapshot(std::uint64_t after_step, std::size_t most_steps) const = 0;
  /// Of a request that has ended. Nothing: it has not, or is forgotten, or another tenant's.
  virtual std::optional<request_trace> trace(request_id id, const std::string& tenant) const = 0;
  virtual cache_rules rules() const = 0;
  virtual service_health health() const = 0;
};

/// For tests only.
class fault_service {
public:
  virtual ~fault_service() = default;
  /// Kills one actor (intake, scheduler, verifier, kv_manager, drafter, draft_model, response_cache,
  /// embedder, metrics, …).
  virtual void kill(const std::string& actor) = 0;
};

} // namespace souffleur
