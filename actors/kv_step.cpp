#include "actors/kv_step.hpp"

namespace souffleur {

namespace {

std::vector<page_id> pages_of(const kv_manager& kv, sequence_id id) {
  const auto pages = kv.pages(id);
  return {pages.begin(), pages.end()};
}

kv_grant grant_of(const kv_reservation& wish, kv_manager& kv) {
  if (!kv.live(wish.id))
    return {wish.id, false, 0, {}};
  const bool granted = kv.reserve(wish.id, wish.n_tokens);
  return {wish.id, granted, 0, pages_of(kv, wish.id)};
}

kv_grant grant_of(const kv_opening& wish, kv_manager& kv) {
  if (kv.live(wish.id))
    return {wish.id, false, 0, {}};
  const int n_cached = kv.begin(wish.id, wish.salt, wish.prompt);
  if (!kv.reserve(wish.id, wish.n_tokens)) {
    kv.end(wish.id);
    return {wish.id, false, 0, {}};
  }
  return {wish.id, true, n_cached, pages_of(kv, wish.id)};
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
    supply.openings.push_back(short_of_pages ? kv_grant{wish.id, false, 0, {}} : grant_of(wish, kv));
    short_of_pages |= !supply.openings.back().granted;
  }
  supply.occupancy = kv.occupancy();
  supply.counters = kv.counters();
  return supply;
}

} // namespace souffleur
