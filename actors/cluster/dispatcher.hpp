// The actor that stands where a scheduler would, in a router.
#pragma once

#include "actors/behaviors.hpp"
#include "actors/cluster/dispatch_core.hpp"

namespace souffleur {

using worker_news_ptr = std::shared_ptr<const worker_news>;
using dispatcher_actor = scheduler_actor::extend<compat::rpc<void(worker_news_ptr)>>;

struct dispatcher_state {
  std::unique_ptr<dispatch_core> core;
  std::shared_ptr<worker_network> network;
  std::shared_ptr<serving_metrics> metrics;
  std::shared_ptr<vital_signs> vitals;
  metrics_actor reports;
  bool watches_deadlines = false; ///< a deadline_check is on its way
};
/// Of what a scheduler is told it ignores what is about pages and drafts: its workers have those.
dispatcher_actor::behavior_type
dispatcher(dispatcher_actor::stateful_pointer<dispatcher_state> self, const cluster_config& config,
           std::shared_ptr<const tokenizer> vocabulary, std::shared_ptr<worker_network> network,
           std::shared_ptr<serving_metrics> metrics, std::shared_ptr<vital_signs> vitals);

} // namespace souffleur

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::worker_news_ptr)
