#include "actors/draft_book.hpp"

namespace souffleur {

draft_offer draft_book::answer(const draft_demand& demand) {
  for (const auto id : demand.ended)
    tables_.erase(id);
  draft_offer offer;
  for (const auto& wish : demand.wishes) {
    auto& table = tables_[wish.id];
    draft_proposal proposal;
    proposal.id = wish.id;
    const auto offset = static_cast<std::size_t>(wish.offset);
    if (offset <= table.size()) {
      const auto n_seen = table.size() - offset;
      if (n_seen < wish.appended.size())
        table.append(std::span{wish.appended}.subspan(n_seen));
      proposal.draft = table.propose(wish.n_max);
    }
    proposal.n_known = static_cast<int>(table.size());
    offer.proposals.push_back(std::move(proposal));
  }
  return offer;
}

} // namespace souffleur
