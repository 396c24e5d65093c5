// The actors that only answer: verifier, kv manager, drafter, response cache, metrics.
#include "actors/behaviors.hpp"
#include "actors/kv_step.hpp"

namespace souffleur {

verifier_actor::behavior_type verifier(verifier_actor::stateful_pointer<verifier_state> self,
                                       std::shared_ptr<language_model> model,
                                       std::vector<token_id> end_tokens, const std::string& acceptance) {
  compat::state_of(self).runner =
      std::make_unique<step_runner>(std::move(model), std::move(end_tokens), acceptance);
  return {[self](const step_plan_ptr& plan) -> step_result_ptr {
    return std::make_shared<const step_result>(compat::state_of(self).runner->run(*plan));
  }};
}

kv_actor::behavior_type kv_keeper(kv_actor::stateful_pointer<kv_state> self, int n_pages,
                                  const std::string& eviction) {
  compat::state_of(self).kv = std::make_unique<kv_manager>(n_pages, make_eviction_policy(eviction));
  return {
      [self](const kv_demand_ptr& demand) -> kv_supply_ptr {
        return std::make_shared<const kv_supply>(carry_out(*demand, *compat::state_of(self).kv));
      },
      [self](kv_inquiry asked) -> kv_summary_ptr {
        return std::make_shared<const kv_summary>(compat::state_of(self).kv->summary(asked.n_prefixes));
      },
  };
}

drafter_actor::behavior_type drafter(drafter_actor::stateful_pointer<drafter_state> self) {
  return {[self](const draft_demand_ptr& demand) -> draft_offer_ptr {
    return std::make_shared<const draft_offer>(compat::state_of(self).book.answer(*demand));
  }};
}

cache_actor::behavior_type response_cache(cache_actor::stateful_pointer<cache_state> self,
                                          std::size_t max_bytes, std::chrono::seconds ttl) {
  compat::state_of(self).book = std::make_unique<answer_book>(max_bytes, ttl);
  return {
      [self](const cache_lookup& lookup) -> cache_reply {
        return {compat::state_of(self).book->find(lookup.key, std::chrono::steady_clock::now())};
      },
      [self](const cache_insertion& insertion) {
        compat::state_of(self).book->insert(insertion.key, insertion.answer,
                                            std::chrono::steady_clock::now());
      },
  };
}

metrics_actor::behavior_type metrics_keeper(metrics_actor::pointer,
                                            const std::shared_ptr<serving_metrics>& metrics) {
  return {
      [metrics](const step_report& report) { metrics->record(report); },
      [metrics](const request_report& report) { metrics->record(report); },
  };
}

} // namespace souffleur
