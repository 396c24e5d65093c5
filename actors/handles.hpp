// The typed interfaces of all actors, and the registration of their message types. Include this only in .cpp
// files of this folder: it pulls in CAF.
#pragma once

#include "actors/cache_replay.hpp"
#include "actors/caf_compat.hpp"
#include "actors/messages/admission.hpp"
#include "actors/messages/answer_store.hpp"
#include "actors/messages/draft.hpp"
#include "actors/messages/embedding.hpp"
#include "actors/messages/generation.hpp"
#include "actors/messages/kv.hpp"
#include "actors/messages/report.hpp"
#include "actors/messages/response_cache.hpp"
#include "actors/messages/step.hpp"
#include "actors/messages/tier.hpp"
#include "engine/cache/answer_cache.hpp"

namespace souffleur {

/// A request on its way into the actors.
struct submission {
  std::shared_ptr<generation_request> request;
  std::shared_ptr<reply_handle> reply;
};

using admission_ptr = std::shared_ptr<const admitted_request>;

using verifier_actor = caf::typed_actor<compat::rpc<step_result_ptr(step_plan_ptr)>>;
/// From the supervisor to a part of which somebody thinks that it hangs. It is sent back.
struct pulse {};
using kv_actor = caf::typed_actor<compat::rpc<kv_supply_ptr(kv_demand_ptr)>,
                                  compat::rpc<kv_summary_ptr(kv_inquiry)>, compat::rpc<pulse(pulse)>>;
using drafter_actor =
    caf::typed_actor<compat::rpc<draft_offer_ptr(draft_demand_ptr)>, compat::rpc<pulse(pulse)>>;
/// Wake-up of a draft model, from itself: it may foresee what is asked next, unless something is asked now.
struct foresight {};
using draft_model_actor = drafter_actor::extend<compat::rpc<void(foresight)>>;
using store_actor =
    caf::typed_actor<compat::rpc<store_reply(store_query)>, compat::rpc<store_findings(store_search)>,
                     compat::rpc<store_done(store_order_ptr)>, compat::rpc<store_purged(store_purge)>,
                     compat::rpc<store_news(store_poll)>>;
using metrics_actor = caf::typed_actor<compat::rpc<void(step_report)>, compat::rpc<void(request_report)>>;

using tier_reader_actor = caf::typed_actor<compat::rpc<fetched_pages_ptr(page_fetch_ptr)>>;
using tier_writer_actor =
    caf::typed_actor<compat::rpc<pages_written(page_writing_ptr)>, compat::rpc<void(tier_closing)>>;

/// Wake-up of the embedder, from itself, behind the demands that have come meanwhile.
struct embedding_round {};
using embedder_actor =
    caf::typed_actor<compat::rpc<void(embedding_demand_ptr)>, compat::rpc<void(embedding_round)>>;

/// Looks at doubtful answers when the model has nothing else to do.
struct judge_round {};
struct judge_peers;
using judge_actor = caf::typed_actor<compat::rpc<void(doubtful_answer_ptr)>, compat::rpc<void(judge_round)>,
                                     compat::rpc<void(cache_verdict)>, compat::rpc<void(judge_peers)>>;

struct cache_peers {
  embedder_actor embedder; ///< each null: there is none
  store_actor store;
  judge_actor judge;
};
struct embedded_question {
  std::uint64_t ticket = 0;
  std::shared_ptr<const std::vector<float>> vector; ///< null: it was not made
  bool is_too_long = false; ///< and never will be: the embedder does not read all of it
};
/// It is time to embed a question for the sake of later ones.
struct embedding_due {
  std::uint64_t ticket = 0;
};
/// Recurring while there is a store.
struct store_poll_due {};
using partition_rebuild_ptr = std::shared_ptr<partition_rebuild>;
using cache_actor =
    caf::typed_actor<compat::rpc<cache_finding_ptr(cache_lookup)>, compat::rpc<void(cache_insertion_ptr)>,
                     compat::rpc<cache_purged(cache_purge)>, compat::rpc<void(cache_verdict)>,
                     compat::rpc<void(embedded_question)>, compat::rpc<void(embedding_due)>,
                     compat::rpc<void(store_poll_due)>, compat::rpc<void(partition_rebuild_ptr)>,
                     compat::rpc<void(cache_peers)>, compat::rpc<pulse(pulse)>>;

/// The actors that others send to; the supervisor sends a new set when one was restarted.
struct peers {
  verifier_actor verifier;
  kv_actor kv;
  drafter_actor drafter;     ///< null: speculation is off
  drafter_actor draft_model; ///< null: there is none
  cache_actor cache;
  metrics_actor metrics;
  tier_reader_actor tier_reader; ///< both null: there is no file tier
  tier_writer_actor tier_writer;
  embedder_actor embedder; ///< null: there is none
  store_actor store;       ///< null: answers are in memory only
  judge_actor judge;       ///< null: nobody serves what would have to be judged
};
using peers_ptr = std::shared_ptr<const peers>;

/// The kv manager was replaced: every page list held by the scheduler is void.
struct kv_reset {};
/// Wake-up of the step loop, from the scheduler to itself.
struct next_round {};
/// The draft model has had its time in that round.
struct draft_model_late {
  std::uint64_t n_round = 0;
};
/// Answered when all pages that are worth storing are with the file tier's writer.
struct tier_flush {};
struct tier_flushed {};
/// Recurring while requests are there, so that a deadline holds also when a step never comes back.
struct deadline_check {};

using scheduler_actor =
    caf::typed_actor<compat::rpc<void(admission_ptr)>, compat::rpc<void(cancellation)>,
                     compat::rpc<void(amendment)>, compat::rpc<void(peers_ptr)>, compat::rpc<void(kv_reset)>,
                     compat::rpc<void(next_round)>, compat::rpc<void(draft_model_late)>,
                     compat::rpc<void(deadline_check)>, compat::rpc<tier_flushed(tier_flush)>>;

struct intake_peers {
  scheduler_actor scheduler;
  cache_actor cache;
  metrics_actor metrics;
};
/// A stored answer on its way to those who asked for it.
struct stored_replay {
  request_id generation = 0;
  std::shared_ptr<reply_handle> reply;
  cache_replay stream;
  generation_finished end;
  int n_tokens = 0; ///< of the answer, as it was generated
};
using stored_replay_ptr = std::shared_ptr<stored_replay>;
using intake_actor = caf::typed_actor<compat::rpc<void(submission)>, compat::rpc<void(cancellation)>,
                                      compat::rpc<void(amendment)>, compat::rpc<void(stored_replay_ptr)>,
                                      compat::rpc<void(deadline_check)>, compat::rpc<void(intake_peers)>>;

struct judge_peers {
  intake_actor intake;
  cache_actor cache;
};

/// Crashes of the verifier that requests were found guilty of: they say nothing against it.
struct explained_crashes {
  int n = 0;
};
/// A part (kv_manager, drafter or response_cache) did not answer in time. It may be slow, or hang.
struct suspicion {
  std::string part;
};
using part_observer = caf::typed_actor<compat::rpc<void(explained_crashes)>, compat::rpc<void(suspicion)>>;

/// A part's pause is over, from the supervisor to itself.
struct restart_due {
  std::string actor;
};

/// Asks the supervisor to kill one actor, by name; for fault tests. Unknown names are ignored.
struct kill_order {
  std::string actor;
};
struct shutdown_order {};
using supervisor_actor =
    caf::typed_actor<compat::rpc<void(submission)>, compat::rpc<void(admission_ptr)>,
                     compat::rpc<void(cancellation)>, compat::rpc<void(amendment)>,
                     compat::rpc<kv_summary_ptr(kv_inquiry)>, compat::rpc<tier_flushed(tier_flush)>,
                     compat::rpc<cache_purged(cache_purge)>, compat::rpc<void(embedding_demand_ptr)>,
                     compat::rpc<void(explained_crashes)>, compat::rpc<void(suspicion)>,
                     compat::rpc<void(restart_due)>, compat::rpc<void(kill_order)>,
                     compat::rpc<void(shutdown_order)>>;

} // namespace souffleur

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::submission)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::admission_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::cancellation)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::amendment)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::step_plan_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::step_result_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::kv_demand_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::kv_supply_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::kv_inquiry)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::kv_summary_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::draft_demand_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::draft_offer_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::foresight)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::cache_lookup)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::cache_finding_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::cache_insertion_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::cache_purge)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::cache_purged)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::cache_verdict)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::cache_peers)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::embedded_question)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::embedding_due)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::partition_rebuild_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::doubtful_answer_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::judge_round)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::judge_peers)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::stored_replay_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::store_query)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::store_reply)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::store_search)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::store_findings)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::store_order_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::store_done)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::store_purge)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::store_purged)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::store_poll)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::store_news)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::store_poll_due)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::embedding_demand_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::embedding_round)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::step_report)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::request_report)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::page_fetch_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::fetched_pages_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::page_writing_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::pages_written)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::tier_closing)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::tier_flush)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::tier_flushed)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::peers_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::intake_peers)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::kv_reset)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::next_round)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::draft_model_late)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::deadline_check)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::pulse)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::suspicion)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::explained_crashes)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::restart_due)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::kill_order)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::shutdown_order)
