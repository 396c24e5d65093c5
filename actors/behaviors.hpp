// The actors: each is a core object behind a mailbox. A handler calls one method of its core and sends what
// it returns.
#pragma once

#include "actors/answer_desk.hpp"
#include "actors/cluster/cluster_config.hpp"
#include "actors/cluster/drafter_link.hpp"
#include "actors/cluster/worker_network.hpp"
#include "actors/draft_book.hpp"
#include "actors/early_embeddings.hpp"
#include "actors/embedding_queue.hpp"
#include "actors/flight_board.hpp"
#include "actors/handles.hpp"
#include "actors/request_preparation.hpp"
#include "actors/scheduler_core.hpp"
#include "actors/serving_config.hpp"
#include "actors/serving_metrics.hpp"
#include "actors/step_runner.hpp"
#include "actors/trouble_watch.hpp"
#include "actors/vital_signs.hpp"
#include "engine/drafting/model_drafter.hpp"
#include "engine/kv_manager.hpp"
#include "engine/unix_time.hpp"
#include "policies/restart_policy.hpp"

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>

namespace souffleur {

struct verifier_state {
  std::unique_ptr<step_runner> runner;
  bool is_resting = false; ///< no step came since it gave back what only steps need
};
/// Runs detached: a handler computes for milliseconds.
verifier_actor::behavior_type verifier(verifier_actor::stateful_pointer<verifier_state> self,
                                       std::shared_ptr<language_model> model,
                                       std::vector<token_id> end_tokens, const std::string& acceptance,
                                       std::shared_ptr<vital_signs> vitals);

struct kv_state {
  std::unique_ptr<kv_manager> kv;
};
kv_actor::behavior_type kv_keeper(kv_actor::stateful_pointer<kv_state> self, int n_pages,
                                  const std::string& eviction, double max_pinned_share,
                                  std::shared_ptr<prefix_journal> journal);

struct drafter_state {
  std::unique_ptr<draft_book> book;
};
drafter_actor::behavior_type drafter(drafter_actor::stateful_pointer<drafter_state> self,
                                     std::size_t answers_bytes, int vocabulary_size);

struct draft_model_state {
  std::unique_ptr<model_drafter> drafter;
  bool looks_ahead = false; ///< a wake-up is on its way
};
/// Runs detached, as the verifier does. `draw`: as the verifier's acceptance policy draws.
/// `looks_ahead`: it goes on while its drafts are verified, which takes cores that the verifier may want.
draft_model_actor::behavior_type draft_model(draft_model_actor::stateful_pointer<draft_model_state> self,
                                             const draft_model_parts& parts, const std::string& eviction,
                                             draft_draw draw, bool looks_ahead);

/// Seconds since 1970. It may be set back.
using wall_clock = std::function<std::int64_t()>;

struct cache_parts {
  answer_desk_options desk;
  std::shared_ptr<serving_metrics> metrics;
  std::chrono::milliseconds lookup_budget{0};
  bool detached = true;
  wall_clock unix_now = unix_now_s;
};
/// A question that is embedded because somebody waits for what is similar to it.
struct awaited_embedding {
  cache_terms_ptr terms;
  caf::typed_response_promise<cache_finding_ptr> promise;
};
struct cache_state {
  std::unique_ptr<answer_desk> desk;
  cache_peers to;
  std::shared_ptr<serving_metrics> metrics;
  std::chrono::milliseconds lookup_budget{0};
  wall_clock unix_now;
  bool store_searches = false; ///< as of its last news
  bool detached = true;
  std::uint64_t n_tickets = 0;
  std::unordered_map<std::uint64_t, awaited_embedding> awaited; ///< by ticket, as the next one
  early_embeddings early;
  std::shared_ptr<const void> alive =
      std::make_shared<const bool>(true); ///< what the embedder takes for its client
  int n_open_orders = 0;                  ///< of the store
  std::uint64_t n_dropped_orders = 0;
  std::uint64_t n_purges = 0; ///< what was asked of the store before one is not believed after it
  bool is_polling = false;
  std::string position; ///< up to which the store's changes are known
  bool is_rebuilding = false;
};
cache_actor::behavior_type response_cache(cache_actor::stateful_pointer<cache_state> self,
                                          const cache_parts& parts);

struct store_state {
  std::shared_ptr<answer_store> store;
};
/// Runs detached: a handler waits for a file or a socket.
store_actor::behavior_type answer_keeper(store_actor::stateful_pointer<store_state> self,
                                         std::shared_ptr<answer_store> store,
                                         const std::shared_ptr<serving_metrics>& metrics,
                                         const wall_clock& unix_now, const trouble_listener& on_trouble);

struct judge_state {
  judge_peers to;
  std::shared_ptr<admission_credits> credits; ///< none taken: the model has nothing to do
  std::deque<doubtful_answer_ptr> waiting;
  bool is_busy = false; ///< a judge_round or a verdict is on its way
  request_id n_judged = 0;
};
judge_actor::behavior_type answer_judge(judge_actor::stateful_pointer<judge_state> self,
                                        std::shared_ptr<admission_credits> credits);

/// The counters live outside, so they go on after a restart.
metrics_actor::behavior_type metrics_keeper(metrics_actor::pointer self,
                                            const std::shared_ptr<serving_metrics>& metrics);

struct embedder_state {
  std::unique_ptr<embedding_queue> queue;
  bool is_busy = false; ///< an embedding_round is on its way
};
/// Runs detached, as the verifier does. What is in its mailbox when a round begins shares it.
embedder_actor::behavior_type embedder(embedder_actor::stateful_pointer<embedder_state> self,
                                       std::shared_ptr<text_embedder> model,
                                       const std::shared_ptr<serving_metrics>& metrics);

struct tier_state {
  std::shared_ptr<page_tier> tier;
  steady_time deadline = steady_time::max(); ///< after which nothing more is written
};
/// Both run detached: a handler waits for a disk, or for another process to take a page.
tier_reader_actor::behavior_type tier_reader(tier_reader_actor::stateful_pointer<tier_state> self,
                                             std::shared_ptr<page_tier> tier);
tier_writer_actor::behavior_type tier_writer(tier_writer_actor::stateful_pointer<tier_state> self,
                                             std::shared_ptr<page_tier> tier,
                                             const trouble_listener& on_trouble);

struct intake_state {
  intake_peers to;
  part_observer supervisor;
  std::shared_ptr<flight_board> flights;
  /// By generation, until the response cache has answered.
  std::unordered_map<request_id, std::shared_ptr<admitted_request>> looked_up;
  std::unordered_map<request_id, amendment> amended; ///< of these
  bool watches_deadlines = false;                    ///< a deadline_check is on its way
  prompt_format format;
  serving_config config;
};
intake_actor::behavior_type intake(intake_actor::stateful_pointer<intake_state> self, prompt_format format,
                                   const serving_config& config, std::shared_ptr<flight_board> flights,
                                   const part_observer& supervisor);

struct scheduler_state {
  std::unique_ptr<scheduler_core> core;
  peers_ptr to;
  serving_config config;
  std::uint64_t n_steps = 0;
  bool busy = false;              ///< a round is under way
  bool awaits_peers = false;      ///< one of them is gone: there are no rounds until its successor is there
  bool watches_deadlines = false; ///< a deadline_check is on its way
  std::vector<caf::typed_response_promise<tier_flushed>> flushes; ///< to be answered
  // Answers of the round under way.
  std::uint64_t n_rounds = 0;
  int n_awaited = 0;
  kv_supply_ptr supply;
  draft_offer_ptr offer;
  bool draft_model_works = false;  ///< on a demand of this round or an earlier one
  bool awaits_draft_model = false; ///< in this round
  steady_time round_started{};
  double core_us = 0; ///< time inside the core during this round
  std::shared_ptr<serving_metrics> metrics;
  part_observer supervisor;
};
scheduler_actor::behavior_type scheduler(scheduler_actor::stateful_pointer<scheduler_state> self,
                                         const serving_config& config,
                                         std::shared_ptr<const tokenizer> vocabulary,
                                         std::shared_ptr<page_tier> tier, const known_costs& costs,
                                         std::shared_ptr<serving_metrics> metrics,
                                         const part_observer& supervisor);

/// What the supervisor needs to start, and to start again, each of the others.
struct ensemble {
  serving_config config;
  std::shared_ptr<language_model> model;
  prompt_format format;
  std::shared_ptr<serving_metrics> metrics;
  std::shared_ptr<page_tier> tier;         ///< null: there is none
  std::shared_ptr<prefix_journal> journal; ///< null: nobody is told what is cached
  draft_model_parts draft_model;
  std::shared_ptr<drafter_link> remote_drafter{}; ///< in whose process the draft model is; null: in none
  std::shared_ptr<text_embedder> embedder;        ///< null: there is none
  std::shared_ptr<answer_store> store;            ///< null: answers are in memory only
  cache_calibration calibration;
  std::shared_ptr<admission_credits> credits;
  std::shared_ptr<vital_signs> vitals; ///< null: nobody asks
  wall_clock unix_now = unix_now_s;
  known_costs costs; ///< for the draft policy; may be empty
  /// Of a router: its workers have the model, and all that comes behind intake. Null: this process does it
  /// all.
  std::shared_ptr<worker_network> network{};
  cluster_config cluster{};
  bool detached = true; ///< false: all are on the pool, so that a test's scheduler decides when they run
  std::function<void(const std::string& reason)> give_up; ///< a restart budget is spent; called at most once
  trouble_listener on_trouble;                            ///< may be empty
  /// May be empty; is told of each death that the ensemble survives.
  std::function<void(const std::string& part, const std::string& why, std::chrono::milliseconds pause,
                     bool is_left_out)>
      on_death;
};

struct supervisor_state {
  ensemble parts;
  std::shared_ptr<flight_board> flights; ///< outlives intake
  peers to;
  scheduler_actor scheduler;
  intake_actor intake;
  compat::watch_list watched;
  restart_policy restarts{{}};
  std::set<std::string> suspects;     ///< parts whose pulse is awaited
  std::set<caf::actor_id> given_up{}; ///< that hang: they end if they ever come back, and are replaced
  int n_running = 0;                  ///< parts that are watched and have neither ended nor been given up
  bool stopping = false;
  bool leaving = false; ///< ends when the last part has
};
supervisor_actor::behavior_type supervisor(supervisor_actor::stateful_pointer<supervisor_state> self,
                                           ensemble parts);

} // namespace souffleur
