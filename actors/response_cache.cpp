// The response cache's actor: exact key, then the store behind it, then the meaning of the question.
#include "actors/behaviors.hpp"
#include "actors/embedding_reply.hpp"

#include <chrono>
#include <utility>

namespace souffleur {

namespace {

using self_pointer = cache_actor::stateful_pointer<cache_state>;
using finding_promise = caf::typed_response_promise<cache_finding_ptr>;

constexpr std::chrono::milliseconds poll_pause{1000};
constexpr std::chrono::seconds poll_timeout{10};
constexpr std::chrono::seconds order_timeout{60};
constexpr std::chrono::seconds purge_timeout{10};
/// Without the store's answer by then, whoever asks is answered without it.
constexpr std::chrono::milliseconds query_timeout{40};
constexpr int most_open_orders = 1024;
/// By then a request's first token is mostly there: what is embedded for later must not delay it.
constexpr std::chrono::milliseconds embedding_pause{100};
constexpr std::chrono::seconds early_embedding_timeout{10};

cache_finding_ptr nothing() {
  static const auto made = std::make_shared<const cache_finding>();
  return made;
}

cache_finding_ptr nothing_for_so_long_a_question() {
  cache_finding found;
  found.is_too_long = true;
  return std::make_shared<const cache_finding>(std::move(found));
}

void report(cache_state& state) {
  state.metrics->record(cache_report{state.desk->counters(), state.n_dropped_orders});
}

void rebuild(self_pointer self) {
  auto& state = compat::state_of(self);
  if (state.is_rebuilding)
    return;
  auto begun = state.desk->begin_rebuild();
  if (!begun)
    return;
  state.is_rebuilding = true;
  const auto job = std::make_shared<partition_rebuild>(std::move(*begun));
  const auto cache = caf::actor_cast<cache_actor>(self);
  const auto build = [job, cache](caf::event_based_actor*) {
    job->job->run();
    compat::anon_send(cache, job);
  };
  if (state.detached)
    self->spawn<caf::detached>(build);
  else
    self->spawn(build);
}

void changed(self_pointer self) {
  rebuild(self);
  report(compat::state_of(self));
}

/// Tells the store, unless too much waits there already.
void order(self_pointer self, store_order what) {
  auto& state = compat::state_of(self);
  if (!state.to.store)
    return;
  if (state.n_open_orders >= most_open_orders) {
    ++state.n_dropped_orders;
    return;
  }
  ++state.n_open_orders;
  compat::request(self, state.to.store, order_timeout,
                  store_order_ptr{std::make_shared<const store_order>(std::move(what))})
      .then([self](store_done) { --compat::state_of(self).n_open_orders; },
            [self](const caf::error&) { --compat::state_of(self).n_open_orders; });
}

/// Asks the embedder; embedded_question with the ticket comes back whatever becomes of it.
void embed(self_pointer self, std::uint64_t ticket, const std::string& text,
           std::chrono::milliseconds timeout) {
  auto& state = compat::state_of(self);
  const auto back = [cache = caf::actor_cast<cache_actor>(self), ticket](embedding_event event) {
    embedded_question answer{ticket, nullptr, false};
    if (auto* texts = std::get_if<embeddings>(&event)) {
      answer.is_too_long = texts->front().is_truncated;
      if (!answer.is_too_long)
        answer.vector = std::make_shared<const std::vector<float>>(std::move(texts->front().vector));
    }
    compat::anon_send(cache, answer);
  };
  compat::anon_send(state.to.embedder,
                    embedding_demand_ptr{std::make_shared<const embedding_demand>(
                        embedding_demand{{text},
                                         compat::now(self) + timeout,
                                         state.alive,
                                         std::make_shared<embedding_reply>(back, nullptr, "", 0)})});
}

void keep(self_pointer self, const cache_insertion& insertion,
          const std::shared_ptr<const std::vector<float>>& embedding) {
  auto& state = compat::state_of(self);
  const auto now = state.unix_now();
  auto entry = state.desk->insert(insertion, embedding, now);
  order(self, {std::move(entry)});
  if (auto doubt = state.desk->doubt_of(insertion, now); doubt && state.to.judge)
    compat::anon_send(state.to.judge,
                      doubtful_answer_ptr{std::make_shared<const doubtful_answer>(std::move(*doubt))});
  changed(self);
}

void answer_similar(self_pointer self, const awaited_embedding& asked,
                    const std::shared_ptr<const std::vector<float>>& vector,
                    std::span<const found_entry> elsewhere) {
  auto& state = compat::state_of(self);
  const auto found = state.desk->find_similar(*asked.terms, vector, elsewhere, state.unix_now());
  state.metrics->record(*found);
  finding_promise promise = asked.promise;
  promise.deliver(found);
}

void keep(self_pointer self, const std::optional<early_embeddings::complete>& answer) {
  if (answer)
    keep(self, *answer->insertion, answer->embedding);
}

void begin_early(self_pointer self, std::uint64_t ticket) {
  if (const auto question = compat::state_of(self).early.begin(ticket))
    embed(self, ticket, *question, early_embedding_timeout);
}

/// Nobody waits for the question's embedding: it is made while the answer is generated.
cache_finding_ptr embedded_later(self_pointer self, const cache_terms& terms, cache_finding found) {
  auto& state = compat::state_of(self);
  if (may_store(terms.permit, answer_end::stop)) {
    found.ticket = ++state.n_tickets;
    keep(self, state.early.add(found.ticket, terms.key.text));
    self->delayed_send(self, embedding_pause, embedding_due{found.ticket});
  }
  return std::make_shared<const cache_finding>(std::move(found));
}

void search(self_pointer self, const awaited_embedding& asked,
            const std::shared_ptr<const std::vector<float>>& vector) {
  auto& state = compat::state_of(self);
  if (!state.to.store || !state.store_searches) {
    answer_similar(self, asked, vector, {});
    return;
  }
  const store_search search{asked.terms->key.partition, vector, answer_desk::n_candidates};
  compat::request(self, state.to.store, query_timeout, search)
      .then(
          [self, asked, vector, n_purges = state.n_purges](const store_findings& findings) {
            const bool is_current = compat::state_of(self).n_purges == n_purges;
            answer_similar(self, asked, vector,
                           is_current ? std::span<const found_entry>{findings.found}
                                      : std::span<const found_entry>{});
          },
          [self, asked, vector](const caf::error&) { answer_similar(self, asked, vector, {}); });
}

void embedded(self_pointer self, const embedded_question& question) {
  auto& state = compat::state_of(self);
  auto found = state.awaited.extract(question.ticket);
  if (found.empty())
    keep(self, state.early.embedded(question.ticket, question.vector));
  else if (question.vector)
    search(self, found.mapped(), question.vector);
  else
    found.mapped().promise.deliver(question.is_too_long ? nothing_for_so_long_a_question() : nothing());
}

/// An answer was generated.
void insert(self_pointer self, const cache_insertion_ptr& insertion) {
  auto& state = compat::state_of(self);
  const auto& [terms, answer, found] = *insertion;
  const bool is_to_be_found = state.to.embedder && terms->permit.semantic && !terms->key.text.empty();
  if (!is_to_be_found || (found && (found->embedding || found->is_too_long))) {
    keep(self, *insertion, found ? found->embedding : nullptr);
    return;
  }
  auto ticket = found ? found->ticket : 0;
  if (!state.early.contains(ticket)) // nobody looked it up, or it was given up
    keep(self, state.early.add(ticket = ++state.n_tickets, terms->key.text));
  keep(self, state.early.answered(ticket, insertion));
  begin_early(self, ticket);
}

/// The very same request is not known anywhere.
void look_for_similar(self_pointer self, const cache_terms_ptr& terms, finding_promise promise) {
  auto& state = compat::state_of(self);
  if (!terms->permit.semantic || terms->key.text.empty() || !state.to.embedder) {
    promise.deliver(nothing());
  } else if (const auto found =
                 state.store_searches ? nullptr : state.desk->find_by_wording(*terms, state.unix_now())) {
    state.metrics->record(*found);
    promise.deliver(embedded_later(self, *terms, *found));
  } else {
    const auto ticket = ++state.n_tickets;
    state.awaited.emplace(ticket, awaited_embedding{terms, std::move(promise)});
    embed(self, ticket, terms->key.text, state.lookup_budget);
  }
}

void look_up_in_store(self_pointer self, const cache_terms_ptr& terms, finding_promise promise) {
  auto& state = compat::state_of(self);
  compat::request(self, state.to.store, query_timeout, store_query{terms->key.exact})
      .then(
          [self, terms, promise, n_purges = state.n_purges](const store_reply& reply) mutable {
            auto& state = compat::state_of(self);
            const auto now = state.unix_now();
            if (reply.entry && reply.entry->owner == terms->owner && state.n_purges == n_purges)
              state.desk->keep(reply.entry, now);
            if (auto found = state.desk->find_exact(*terms, now)) {
              state.metrics->record(*found);
              promise.deliver(found);
            } else {
              look_for_similar(self, terms, promise);
            }
          },
          [self, terms, promise](const caf::error&) { look_for_similar(self, terms, promise); });
}

finding_promise look_up(self_pointer self, const cache_terms_ptr& terms) {
  auto& state = compat::state_of(self);
  auto promise = self->make_response_promise<cache_finding_ptr>();
  state.metrics->record_cache_lookup();
  if (auto found = state.desk->find_exact(*terms, state.unix_now())) {
    state.metrics->record(*found);
    promise.deliver(found);
  } else if (state.to.store) {
    look_up_in_store(self, terms, promise);
  } else {
    look_for_similar(self, terms, promise);
  }
  return promise;
}

void take(cache_state& state, const store_changes& changes) {
  if (changes.starts_over)
    state.desk->start_over();
  const auto now = state.unix_now();
  for (const auto& entry : changes.added)
    if (!state.store_searches) // else it is found there
      state.desk->keep(entry, now);
  for (const auto& exact : changes.removed)
    state.desk->erase(exact);
  state.position = changes.position;
}

/// Takes over what the store has: at first all that it holds, later what other processes did.
void poll(self_pointer self) {
  auto& state = compat::state_of(self);
  if (!state.to.store || std::exchange(state.is_polling, true))
    return;
  const auto again = [self](std::chrono::milliseconds pause) {
    compat::state_of(self).is_polling = false;
    self->delayed_send(self, pause, store_poll_due{});
  };
  compat::request(self, state.to.store, poll_timeout, store_poll{state.position})
      .then(
          [self, again, n_purges = state.n_purges](const store_news& news) {
            auto& state = compat::state_of(self);
            state.store_searches = news.searches;
            if (!news.changes || state.n_purges != n_purges) // of what is gone since, nothing may come back
              return again(poll_pause);
            take(state, *news.changes);
            changed(self);
            again(news.changes->is_all ? poll_pause : std::chrono::milliseconds{0});
          },
          [again](const caf::error&) { again(poll_pause); });
}

caf::typed_response_promise<cache_purged> purge(self_pointer self, const key_digest& owner) {
  auto& state = compat::state_of(self);
  auto promise = self->make_response_promise<cache_purged>();
  ++state.n_purges;
  state.early.forget(owner);
  const auto n_here = state.desk->forget(owner);
  changed(self);
  if (!state.to.store) {
    promise.deliver(cache_purged{n_here, true});
    return promise;
  }
  compat::request(self, state.to.store, purge_timeout, store_purge{owner})
      .then(
          [promise, n_here](const store_purged& purged) mutable {
            promise.deliver(cache_purged{std::max(n_here, purged.n_entries), purged.did});
          },
          [promise, n_here](const caf::error&) mutable {
            promise.deliver(cache_purged{n_here, false});
          });
  return promise;
}

} // namespace

cache_actor::behavior_type response_cache(self_pointer self, const cache_parts& parts) {
  auto& state = compat::state_of(self);
  state.desk = std::make_unique<answer_desk>(parts.desk);
  state.metrics = parts.metrics;
  state.lookup_budget = parts.lookup_budget;
  state.detached = parts.detached;
  state.unix_now = parts.unix_now;
  return {
      [self](const cache_lookup& lookup) { return look_up(self, lookup.terms); },
      [self](const cache_insertion_ptr& insertion) { insert(self, insertion); },
      [self](const cache_purge& wanted) { return purge(self, wanted.owner); },
      [self](const cache_verdict& verdict) {
        auto& state = compat::state_of(self);
        state.desk->settle(verdict.entry, verdict.outcome);
        state.metrics->record(verdict.outcome);
      },
      [self](const embedded_question& question) { embedded(self, question); },
      [self](embedding_due due) { begin_early(self, due.ticket); },
      [self](store_poll_due) { poll(self); },
      [self](const partition_rebuild_ptr& rebuilt) {
        auto& state = compat::state_of(self);
        state.is_rebuilding = false;
        state.desk->finish_rebuild(*rebuilt);
        changed(self);
      },
      [](pulse beat) { return beat; },
      [self](const cache_peers& to) {
        compat::state_of(self).to = to;
        poll(self);
      },
  };
}

} // namespace souffleur
