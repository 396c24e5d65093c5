#include "actors/kv_step.hpp"

namespace souffleur {

namespace {

std::vector<page_id> pages_of(const kv_manager& kv, sequence_id id) {
  const auto pages = kv.pages(id);
  return {pages.begin(), pages.end()};
}

kv_grant refusal_of(sequence_id id) { return {id, false, 0, {}, 0, {}}; }

kv_grant grant_of(const kv_reservation& wish, kv_manager& kv) {
  if (!kv.live(wish.id))
    return refusal_of(wish.id);
  const bool granted = (wish.n_dropped == 0 || kv.slide(wish.id, wish.n_sinks, wish.n_dropped)) &&
                       kv.reserve(wish.id, wish.n_tokens - wish.n_dropped);
  const auto sinks = kv.sinks(wish.id);
  return {wish.id, granted, 0, pages_of(kv, wish.id), kv.n_dropped(wish.id), {sinks.begin(), sinks.end()}};
}

kv_grant grant_of(const kv_opening& wish, kv_manager& kv) {
  if (kv.live(wish.id))
    return refusal_of(wish.id);
  const int n_cached = kv.begin(wish.id, wish.salt, wish.prompt);
  if (!kv.reserve(wish.id, wish.n_tokens)) {
    kv.end(wish.id);
    return refusal_of(wish.id);
  }
  return {wish.id, true, n_cached, pages_of(kv, wish.id), 0, {}};
}

} // namespace

kv_supply carry_out(const kv_demand& demand, kv_manager& kv) {
  for (const auto& publication : demand.publications)
    if (kv.live(publication.id))
      kv.publish(publication.id, publication.tokens);
  for (const auto id : demand.endings)
    if (kv.live(id))
      kv.end(id);
  kv_supply supply;
  bool short_of_pages = false;
  for (const auto& wish : demand.reservations) {
    supply.reservations.push_back(grant_of(wish, kv));
    short_of_pages |= !supply.reservations.back().granted;
  }
  for (const auto& wish : demand.openings) {
    supply.openings.push_back(short_of_pages ? refusal_of(wish.id) : grant_of(wish, kv));
    short_of_pages |= !supply.openings.back().granted;
  }
  for (const auto& question : demand.questions)
    supply.n_found_tokens.push_back(kv.peek(question.salt, question.prompt));
  supply.occupancy = kv.occupancy();
  supply.counters = kv.counters();
  return supply;
}

} // namespace souffleur
