#include "actors/draft_step.hpp"

namespace souffleur {

draft_offer carry_out(const draft_demand& demand, model_drafter& drafter) {
  for (const auto& ending : demand.ended)
    drafter.end(ending.id);
  std::vector<model_draft_wish> wishes;
  for (const auto& wish : demand.wishes)
    wishes.push_back({wish.id, wish.subject->tenant, wish.offset, wish.appended, wish.subject->n_prompt,
                      wish.n_max, wish.subject->sampling.get()});
  auto drafts = drafter.propose(wishes);
  draft_offer offer;
  for (std::size_t i = 0; i < wishes.size(); ++i) {
    auto& proposal = offer.proposals.emplace_back();
    proposal.id = wishes[i].id;
    proposal.n_known = drafts[i].n_known;
    proposal.n_behind = drafts[i].n_behind;
    if (!drafts[i].draft.nodes.empty())
      proposal.drafts.push_back(std::move(drafts[i].draft));
  }
  return offer;
}

} // namespace souffleur
