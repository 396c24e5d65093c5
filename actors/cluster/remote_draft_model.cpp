#include "actors/cluster/remote_draft_model.hpp"

namespace souffleur {

namespace {

using self_pointer = remote_draft_model_actor::stateful_pointer<remote_draft_state>;

draft_offer_ptr shared(draft_offer offer) { return std::make_shared<const draft_offer>(std::move(offer)); }

/// News come on the link's threads, and after the actor's end.
drafter_listener listener_of(self_pointer self) {
  return [weak = caf::actor_cast<caf::weak_actor_ptr>(self)](drafter_news news) {
    if (const auto strong = weak.lock())
      compat::anon_send(caf::actor_cast<caf::actor>(strong),
                        drafter_news_ptr{std::make_shared<const drafter_news>(std::move(news))});
  };
}

void happened(self_pointer self, const drafter_news& news) {
  auto& state = compat::state_of(self);
  if (const auto* joined = std::get_if<drafter_joined>(&news)) {
    if (state.core->left()) // its end was not told
      state.asker.deliver(shared({}));
    state.core->joined(joined->passes);
  } else if (const auto* batch = std::get_if<drafted_batch>(&news)) {
    if (auto offer = state.core->answered(*batch, compat::now(self)))
      state.asker.deliver(shared(std::move(*offer)));
  } else if (state.core->left()) {
    state.asker.deliver(shared({}));
  }
  state.metrics->record_remote_drafter(state.core->is_there());
}

} // namespace

remote_draft_model_actor::behavior_type remote_draft_model(self_pointer self,
                                                           std::shared_ptr<drafter_link> link,
                                                           int vocabulary_size,
                                                           std::shared_ptr<serving_metrics> metrics) {
  auto& state = compat::state_of(self);
  state.core = std::make_unique<remote_drafting>(vocabulary_size);
  state.link = std::move(link);
  state.metrics = std::move(metrics);
  state.metrics->record_remote_drafter(false);
  state.link->listen(listener_of(self));
  return {
      [](pulse beat) { return beat; },
      [self](const draft_demand_ptr& demand) {
        auto& state = compat::state_of(self);
        auto answer = self->make_response_promise<draft_offer_ptr>();
        const bool is_taken = state.core->awaits_answer();
        if (auto order = state.core->order_for(demand))
          state.core->sent(state.link->send(std::move(*order)), compat::now(self));
        if (state.core->awaits_answer() && !is_taken)
          state.asker = answer;
        else
          answer.deliver(shared(state.core->without_drafts()));
        return answer;
      },
      [self](const drafter_news_ptr& news) { happened(self, *news); },
  };
}

} // namespace souffleur
