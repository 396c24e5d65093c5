// Counters, gauges and histograms under vLLM's names where vLLM has them, ours elsewhere.
#pragma once

#include "actors/memory_plan.hpp"
#include "actors/messages/embedding.hpp"
#include "actors/messages/observation.hpp"
#include "actors/messages/report.hpp"
#include "actors/messages/response_cache.hpp"
#include "engine/cache/answer_cache.hpp"
#include "engine/cache/answer_store.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace souffleur {

/// Thread-safe.
class serving_metrics {
public:
  explicit serving_metrics(const std::string& model_name);
  ~serving_metrics();
  void record(const step_report& report);
  void record(const request_report& report);
  void record(const file_tier_counters& counters);
  void record(const embedding_report& report);
  void record(const cache_finding& found);
  void record(const cache_report& report);
  void record(const store_counters& counters);
  /// Of an answer that a doubtful entry was compared with.
  void record(const cluster_report& report);
  void record(likeness verdict);
  void record_cache_lookup();
  void record_restart(const std::string& actor);
  void record_stuck_step();
  void record_remote_drafter(bool is_there);
  void record_stuck_part(const std::string& actor);
  /// Upper bounds of the parts.
  void set_memory(const std::vector<memory_part>& parts);
  /// Prometheus text exposition.
  std::string text() const;
  /// As observation_service has them.
  serving_snapshot snapshot(std::uint64_t after_step, std::size_t most_steps) const;
  std::optional<request_trace> trace(request_id id, const std::string& tenant) const;

private:
  struct registry;
  std::unique_ptr<registry> registry_;
};

} // namespace souffleur
