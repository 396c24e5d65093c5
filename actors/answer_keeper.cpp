// The store's actor. Detached: every handler waits for a file or a socket.
#include "actors/behaviors.hpp"

#include <chrono>
#include <utility>

namespace souffleur {

namespace {

constexpr std::size_t n_polled = 256;

/// Null: it is not there, or the store does not say.
cache_entry_ptr entry_of(answer_store& store, const key_digest& exact, unix_seconds now_s) {
  auto found = store.get(exact, now_s);
  return found && *found ? std::make_shared<const cache_entry>(std::move(**found)) : nullptr;
}

store_findings search(answer_store& store, const store_search& wanted, unix_seconds now_s) {
  store_findings findings;
  const auto near = store.nearest(wanted.partition, *wanted.vector, wanted.n_most, now_s);
  if (!near)
    return findings;
  for (const auto& [exact, similarity] : *near)
    if (auto entry = entry_of(store, exact, now_s))
      findings.found.push_back({std::move(entry), similarity});
  return findings;
}

} // namespace

store_actor::behavior_type answer_keeper(store_actor::stateful_pointer<store_state> self,
                                         std::shared_ptr<answer_store> store,
                                         const std::shared_ptr<serving_metrics>& metrics,
                                         const wall_clock& unix_now, const trouble_listener& on_trouble) {
  compat::state_of(self).store = std::move(store);
  const auto trouble = std::make_shared<trouble_watch>("the store of answers", on_trouble);
  const auto report = [self, metrics] { metrics->record(compat::state_of(self).store->counters()); };
  return {
      [self, unix_now](const store_query& query) -> store_reply {
        return {entry_of(*compat::state_of(self).store, query.exact, unix_now())};
      },
      [self, unix_now](const store_search& wanted) -> store_findings {
        return search(*compat::state_of(self).store, wanted, unix_now());
      },
      [self, report, trouble](const store_order_ptr& order) -> store_done {
        auto& store = *compat::state_of(self).store;
        // What the store cannot do it has counted; the cache goes on in memory.
        const auto done = order->added ? store.put(*order->added) : store.erase(order->erased);
        if (done)
          trouble->worked();
        else if (!store.counters().is_reachable) // else that one has no room
          trouble->failed(done.error());
        report();
        return {};
      },
      [self, report](const store_purge& wanted) -> store_purged {
        const auto purged = compat::state_of(self).store->forget(wanted.owner);
        report();
        return purged ? store_purged{*purged, true} : store_purged{};
      },
      [self, report, unix_now](const store_poll& wanted) -> store_news {
        auto& store = *compat::state_of(self).store;
        auto changes = store.changes_since(wanted.position, n_polled, unix_now());
        report();
        return {changes ? std::make_shared<const store_changes>(std::move(*changes)) : nullptr,
                store.searches()};
      },
  };
}

} // namespace souffleur
