// Every setting of the serving actors, with the default that serves.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>

namespace souffleur {

struct serving_config {
  std::string model_name = "default";
  int n_kv_pages = 2048;

  std::string scheduling_policy = "deficit_lpm";
  int max_batch_tokens = 256;   ///< rows per step; whoever comes waits for the end of one
  int prefill_chunk = 256;      ///< rows of one prompt per step
  int join_prefill_tokens = 64; ///< of a common prefix: so many are worth waiting for
  int max_running = 32;
  int max_waiting = 512;
  int max_waiting_per_tenant = 256; ///< less than max_waiting: one tenant leaves room for others
  int max_output_tokens = 4096;
  std::chrono::milliseconds request_timeout{600'000};
  std::chrono::milliseconds step_timeout{120'000}; ///< a step that takes longer is thought to be stuck
  std::chrono::milliseconds pulse_timeout{10'000}; ///< a part that says nothing for longer is replaced

  std::string eviction_policy = "lhd";
  double max_pinned_share = 0.25; ///< of the KV pages, that requests can pin in the prefix cache
  bool prefix_cache = true;
  std::string tier_folder = "off"; ///< of the KV pages in files
  std::size_t tier_max_bytes = std::size_t{4} << 30;
  int tier_min_hits = 2;                              ///< in memory, that make a page worth storing
  std::size_t tier_step_bytes = std::size_t{1} << 20; ///< copied for the files in a step that computes
  bool exchanges_pages = false;                       ///< with other nodes of a cluster
  std::size_t max_arriving_bytes = std::size_t{512}
                                   << 20; ///< of pages from there that wait for their request

  std::string acceptance_policy = "coupled";
  std::string draft_policy = "adaptive";
  std::string drafter = "auto"; ///< one of drafter_names
  /// Without a drafter nothing is drafted, whatever the policy.
  std::string draft_policy_in_force() const { return drafter == "off" ? "off" : draft_policy; }
  int max_draft = 8;
  int n_draft_branches = 1; ///< most drafted tokens that may follow one token; 1: chains
  std::size_t draft_answers_bytes = std::size_t{32} << 20; ///< of finished answers that are drafted from
  std::chrono::microseconds draft_budget{2000};
  bool has_draft_model = false;
  std::chrono::milliseconds draft_model_budget{500};
  bool drafts_ahead = false; ///< a draft model in this process goes on while its drafts are verified

  std::string cache_policy = "off";
  std::size_t cache_max_bytes = 64 << 20;
  std::string cache_eviction = "gdsf";
  std::chrono::seconds cache_ttl{3600};
  double cache_max_temperature = 0;     ///< above it, only who asks with the same seed gets a stored answer
  double cache_threshold = 0.9;         ///< cosine from which `fixed` and `guarded` serve
  double cache_max_error = 0.01;        ///< what `bounded` promises
  double cache_replay_tokens_per_s = 0; ///< of a stored answer; 0: all at once
  /// After which a request goes on as if nothing were stored.
  std::chrono::milliseconds cache_lookup_budget{100};

  std::string embedder_name;      ///< under which the embedding model is served
  int max_embedding_texts = 8192; ///< that wait to be embedded, one tenant's at most half of them

  std::string window_policy = "full";
  int max_restarts = 16; ///< of any one actor within restart_window
  std::chrono::seconds restart_window{60};
};

} // namespace souffleur
