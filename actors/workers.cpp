// The actors that only answer: verifier, kv manager, drafter, file tier, embedder, metrics.
#include "actors/behaviors.hpp"
#include "actors/draft_step.hpp"
#include "actors/kv_step.hpp"
#include "engine/elapsed.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace souffleur {

namespace {

/// Without a step; what is given back then, the next one pays for with a few milliseconds.
constexpr std::chrono::seconds time_to_rest{2};

/// What a drafted token took, from when it was asked for; of one that was foreseen next to nothing. Nothing
/// is told of a pass that caught up with a text: it says little of those that draft.
step_time pass_of(const draft_offer& offer, const drafting_effort& effort, double took_us) {
  const auto n_sequences = static_cast<int>(offer.proposals.size());
  std::size_t n_deep = static_cast<std::size_t>(effort.n_passes);
  for (const auto& proposal : offer.proposals)
    for (const auto& draft : proposal.drafts)
      n_deep = std::max(n_deep, draft.nodes.size());
  if (n_deep == 0 || effort.n_catch_up_rows > draft_pass_rows * n_sequences)
    return {};
  return {n_sequences, took_us / static_cast<double>(n_deep)};
}

} // namespace

verifier_actor::behavior_type verifier(verifier_actor::stateful_pointer<verifier_state> self,
                                       std::shared_ptr<language_model> model,
                                       std::vector<token_id> end_tokens, const std::string& acceptance,
                                       std::shared_ptr<vital_signs> vitals) {
  compat::end_with_exceptions(self);
  compat::state_of(self).runner =
      std::make_unique<step_runner>(std::move(model), std::move(end_tokens), acceptance);
  return {[self, vitals = std::move(vitals)](const step_plan_ptr& plan) -> step_result_ptr {
            auto& state = compat::state_of(self);
            state.is_resting = false;
            const vital_signs::step_watch watch{*vitals, compat::now(self)};
            return std::make_shared<const step_result>(state.runner->run(*plan));
          },
          compat::after_silence(time_to_rest, [self] {
            auto& state = compat::state_of(self);
            if (!std::exchange(state.is_resting, true))
              state.runner->rest();
          })};
}

kv_actor::behavior_type kv_keeper(kv_actor::stateful_pointer<kv_state> self, int n_pages,
                                  const std::string& eviction, double max_pinned_share,
                                  std::shared_ptr<prefix_journal> journal) {
  compat::state_of(self).kv = std::make_unique<kv_manager>(n_pages, make_eviction_policy(eviction),
                                                           max_pinned_share, std::move(journal));
  return {
      [self](const kv_demand_ptr& demand) -> kv_supply_ptr {
        return std::make_shared<const kv_supply>(carry_out(*demand, *compat::state_of(self).kv));
      },
      [self](kv_inquiry asked) -> kv_summary_ptr {
        return std::make_shared<const kv_summary>(compat::state_of(self).kv->summary(asked.n_prefixes));
      },
      [](pulse beat) { return beat; },
  };
}

drafter_actor::behavior_type drafter(drafter_actor::stateful_pointer<drafter_state> self,
                                     std::size_t answers_bytes, int vocabulary_size) {
  compat::state_of(self).book = std::make_unique<draft_book>(answers_bytes, vocabulary_size);
  return {
      [self](const draft_demand_ptr& demand) {
        auto& book = *compat::state_of(self).book;
        auto answer = self->make_response_promise<draft_offer_ptr>();
        answer.deliver(draft_offer_ptr{std::make_shared<const draft_offer>(book.answer(*demand))});
        book.conclude(*demand); // beside the step
        return answer;
      },
      [](pulse beat) { return beat; },
  };
}

draft_model_actor::behavior_type draft_model(draft_model_actor::stateful_pointer<draft_model_state> self,
                                             const draft_model_parts& parts, const std::string& eviction,
                                             draft_draw draw, bool looks_ahead) {
  model_drafter_options options;
  options.draw = draw;
  compat::state_of(self).drafter = std::make_unique<model_drafter>(
      parts.model, parts.n_shared_vocabulary, parts.end_tokens, make_eviction_policy(eviction), options);
  const auto go_on = [self] { compat::anon_send(caf::actor_cast<draft_model_actor>(self), foresight{}); };
  return {[](pulse beat) { return beat; },
          [self, looks_ahead, go_on](const draft_demand_ptr& demand) -> draft_offer_ptr {
            auto& state = compat::state_of(self);
            const auto start = std::chrono::steady_clock::now();
            auto offer = std::make_shared<draft_offer>(carry_out(*demand, *state.drafter));
            offer->pass = pass_of(*offer, state.drafter->last_effort(),
                                  us_between(start, std::chrono::steady_clock::now()));
            if (looks_ahead && !demand->wishes.empty() && !std::exchange(state.looks_ahead, true))
              go_on();
            return offer;
          },
          [self, go_on](foresight) {
            auto& state = compat::state_of(self);
            state.looks_ahead = state.drafter->look_ahead();
            if (state.looks_ahead)
              go_on(); // behind what has been asked meanwhile
          }};
}

tier_reader_actor::behavior_type tier_reader(tier_reader_actor::stateful_pointer<tier_state> self,
                                             std::shared_ptr<page_tier> tier) {
  compat::state_of(self).tier = std::move(tier);
  return {[self](const page_fetch_ptr& wish) -> fetched_pages_ptr {
    auto fetched = std::make_shared<fetched_pages>();
    fetched->ticket = wish->ticket;
    for (const auto& page : wish->pages) {
      auto bytes = compat::state_of(self).tier->get(page);
      if (!bytes)
        break;
      fetched->pages.push_back(std::move(bytes));
    }
    return fetched;
  }};
}

tier_writer_actor::behavior_type tier_writer(tier_writer_actor::stateful_pointer<tier_state> self,
                                             std::shared_ptr<page_tier> tier,
                                             const trouble_listener& on_trouble) {
  compat::state_of(self).tier = std::move(tier);
  const auto trouble = std::make_shared<trouble_watch>("kv.tier_folder", on_trouble);
  return {
      [self, trouble](const page_writing_ptr& wish) -> pages_written {
        auto& state = compat::state_of(self);
        bool is_refused = false;
        bool is_written = false;
        for (const auto& [claim, bytes, ships_to] : wish->pages)
          if (ships_to)
            ships_to->put(claim->page(), bytes);
          else if (compat::now(self) >= state.deadline)
            state.tier->note_skipped(1);
          else if (state.tier->put(claim->page(), {bytes.get(), state.tier->page_bytes()}))
            is_written = true;
          else
            is_refused = is_refused || state.tier->n_stored({&claim->page(), 1}) == 0;
        if (is_refused)
          trouble->failed("pages cannot be written (is the disk full?)");
        else if (is_written)
          trouble->worked();
        return {};
      },
      [self](const tier_closing& closing) {
        compat::state_of(self).deadline = closing.deadline;
        if (closing.is_last)
          self->quit();
        else
          compat::anon_send(caf::actor_cast<tier_writer_actor>(self), tier_closing{closing.deadline, true});
      },
  };
}

embedder_actor::behavior_type embedder(embedder_actor::stateful_pointer<embedder_state> self,
                                       std::shared_ptr<text_embedder> model,
                                       const std::shared_ptr<serving_metrics>& metrics) {
  compat::state_of(self).queue = std::make_unique<embedding_queue>(std::move(model));
  const auto wake = [self] { compat::anon_send(caf::actor_cast<embedder_actor>(self), embedding_round{}); };
  return {
      [self, wake](const embedding_demand_ptr& demand) {
        auto& state = compat::state_of(self);
        state.queue->add(*demand);
        if (!std::exchange(state.is_busy, true))
          wake();
      },
      [self, wake, metrics](embedding_round) {
        auto& state = compat::state_of(self);
        const auto start = compat::now(self);
        auto report = state.queue->run_round(start);
        report.us = us_between(start, compat::now(self));
        metrics->record(report);
        state.is_busy = !state.queue->empty();
        if (state.is_busy)
          wake();
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
