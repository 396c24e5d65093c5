// What the other actors tell the metrics actor.
#pragma once

#include "actors/messages/admission.hpp"
#include "actors/messages/generation.hpp"
#include "engine/cache/answer_cache.hpp"
#include "engine/kv_manager.hpp"
#include "policies/token.hpp"

#include <string>
#include <vector>

namespace souffleur {

/// A draft that got rows, and how it fared.
struct draft_report {
  token_origin drafter = token_origin::model;
  int n_drafted = 0;
  int n_accepted = 0;
};

/// One generation's part in a step.
struct step_share {
  request_id id = 0;
  int n_prompt = 0;   ///< tokens
  int n_computed = 0; ///< positions with KV before the step
  int n_rows = 0;     ///< drafted ones included
  int n_drafted = 0;
  int n_accepted = 0;
  token_origin drafter = token_origin::model; ///< `model`: nobody drafted
  int n_made = 0;                             ///< output tokens, in this step
  int n_output = 0;                           ///< in all
  double gap_ms = -1;                         ///< since the tokens before these; < 0: there were none
};

/// One step, where its time went. Wall microseconds.
struct step_report {
  int n_rows = 0;
  int n_prefill_rows = 0;
  int n_draft_rows = 0;
  int n_accepted = 0;
  int n_output_tokens = 0;
  int n_running = 0;
  int n_waiting = 0;
  double forward_us = 0;
  double sampling_us = 0;
  double scheduling_us = 0; ///< planning and committing in the scheduler
  double messages_us = 0;   ///< the rest: hops, kv manager, drafter
  bool idle = false;        ///< no forward pass took place; only gauges count
  steady_time began{};
  std::vector<draft_report> drafts;
  std::vector<step_share> shares; ///< by generation
  kv_occupancy kv;
  kv_counters kv_counters_now;
};

/// What the response cache holds.
struct cache_report {
  answer_cache_counters memory;
  std::uint64_t n_dropped_orders = 0; ///< that the store was too slow for
};

/// Prompts that workers were to compute for others.
struct prefill_counts {
  std::uint64_t n_shipped = 0;       ///< whose pages all came
  std::uint64_t n_failed = 0;        ///< that were computed where they decode after all
  std::uint64_t n_shipped_pages = 0; ///< that arrived
};

/// A router's workers and streams.
struct cluster_report {
  int n_workers = 0;
  int n_streams = 0;
  int n_unplaced = 0;          ///< of them, without a worker
  std::uint64_t n_replays = 0; ///< that went on at another worker
  prefill_counts prefills{};   ///< since the report before
};

/// When it happened; steady_time{}: never.
struct request_times {
  steady_time arrival{};
  steady_time prepared{};
  steady_time looked_up{}; ///< the response cache had answered
  steady_time admitted{};
  steady_time first_token{};
  steady_time ended{};
};

/// One request's end.
struct request_report {
  std::string outcome; ///< finish reason, or "error"
  generation_usage usage;
  double ttft_ms = -1; ///< < 0: no token was made
  double e2e_ms = 0;
  request_id id = 0;
  request_id generation = 0; ///< as which it is in the steps' reports
  std::string tenant{};
  request_times times{};
};

} // namespace souffleur
