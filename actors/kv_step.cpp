#include "actors/kv_step.hpp"

namespace souffleur {

namespace {

std::vector<page_id> pages_of(const kv_manager& kv, sequence_id id) {
  const auto pages = kv.pages(id);
  return {pages.begin(), pages.end()};
}

kv_grant refusal_of(sequence_id id, bool postponed = false) {
  kv_grant refusal;
  refusal.id = id;
  refusal.postponed = postponed;
  return refusal;
}

kv_grant grant_of(const kv_reservation& wish, kv_manager& kv) {
  if (!kv.live(wish.id))
    return refusal_of(wish.id);
  kv_grant grant;
  grant.id = wish.id;
  grant.granted = (wish.n_dropped == 0 || kv.slide(wish.id, wish.n_sinks, wish.n_dropped)) &&
                  kv.reserve(wish.id, wish.n_tokens - wish.n_dropped);
  grant.pages = pages_of(kv, wish.id);
  grant.n_dropped = kv.n_dropped(wish.id);
  const auto sinks = kv.sinks(wish.id);
  grant.sinks.assign(sinks.begin(), sinks.end());
  return grant;
}

kv_grant grant_of(const kv_opening& wish, kv_manager& kv) {
  if (kv.live(wish.id))
    return refusal_of(wish.id);
  if (wish.n_awaited_tokens > 0 && kv.peek(wish.salt, wish.prompt) < wish.n_awaited_tokens)
    return refusal_of(wish.id, true);
  kv_grant grant;
  grant.id = wish.id;
  grant.n_cached_tokens = kv.begin(wish.id, wish.salt, wish.prompt, wish.retention);
  const auto partial = kv.borrow(wish.id, wish.prompt);
  grant.n_cached_tokens += partial.n_tokens;
  grant.partial = partial.page;
  grant.granted = kv.reserve(wish.id, wish.n_tokens);
  if (!grant.granted) {
    kv.end(wish.id);
    return refusal_of(wish.id);
  }
  grant.pages = pages_of(kv, wish.id);
  if (wish.min_hits > 0)
    grant.n_worthy_pages = kv.n_pages_hit(wish.id, wish.min_hits);
  return grant;
}

} // namespace

kv_supply carry_out(const kv_demand& demand, kv_manager& kv) {
  kv.tell_time(demand.now_s);
  for (const auto& publication : demand.publications)
    if (kv.live(publication.id))
      kv.publish(publication.id, publication.tokens, publication.n_before);
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
    short_of_pages |= !supply.openings.back().granted && !supply.openings.back().postponed;
  }
  for (const auto& question : demand.questions)
    supply.n_found_tokens.push_back(kv.peek(question.salt, question.prompt));
  supply.occupancy = kv.occupancy();
  supply.counters = kv.counters();
  return supply;
}

} // namespace souffleur
