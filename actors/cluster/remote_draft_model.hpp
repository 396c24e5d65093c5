// The actor that stands where a draft model would, while that is in another process.
#pragma once

#include "actors/cluster/drafter_link.hpp"
#include "actors/cluster/remote_drafting.hpp"
#include "actors/handles.hpp"
#include "actors/serving_metrics.hpp"

namespace souffleur {

using drafter_news_ptr = std::shared_ptr<const drafter_news>;
using remote_draft_model_actor = drafter_actor::extend<compat::rpc<void(drafter_news_ptr)>>;

struct remote_draft_state {
  std::unique_ptr<remote_drafting> core;
  std::shared_ptr<drafter_link> link;
  std::shared_ptr<serving_metrics> metrics;
  caf::typed_response_promise<draft_offer_ptr> asker; ///< of the open order
};
/// Answers at once, without drafts, as long as there is no drafter or an earlier demand is not answered; and
/// when the drafter is lost. How long a step waits for the answer is the scheduler's business, as it is for a
/// draft model of its own.
remote_draft_model_actor::behavior_type
remote_draft_model(remote_draft_model_actor::stateful_pointer<remote_draft_state> self,
                   std::shared_ptr<drafter_link> link, int vocabulary_size,
                   std::shared_ptr<serving_metrics> metrics);

} // namespace souffleur

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::drafter_news_ptr)
