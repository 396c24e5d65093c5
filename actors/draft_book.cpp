#include "actors/draft_book.hpp"

#include <algorithm>

namespace souffleur {

draft_book::draft_book(std::size_t answers_bytes, int vocabulary_size)
    : vocabulary_size_(vocabulary_size), answers_(answers_bytes, answers_bytes / 2) {}

draft_offer draft_book::answer(const draft_demand& demand) {
  for (const auto& ending : demand.ended)
    end(ending);
  draft_offer offer;
  for (const auto& wish : demand.wishes) {
    auto& who = sequence_of(wish.id, wish.subject);
    append(who, wish.offset, wish.appended);
    note(wish);
    draft_proposal proposal;
    proposal.id = wish.id;
    proposal.n_known = static_cast<int>(who.drafters.size());
    if (who.drafters.size() == static_cast<std::size_t>(wish.offset) + wish.appended.size())
      proposal.drafts =
          who.drafters.propose({answers_.find(who.subject->tenant), likely_.find(who.subject->tenant)},
                               {wish.n_max, who.subject->n_branches});
    offer.proposals.push_back(std::move(proposal));
  }
  return offer;
}

draft_book::known_sequence& draft_book::sequence_of(sequence_id id,
                                                    const std::shared_ptr<const draft_subject>& subject) {
  const auto found = known_.find(id);
  if (found != known_.end())
    return found->second;
  return known_
      .emplace(id, known_sequence{subject, sequence_drafters{subject->drafters, subject->prediction}, {}})
      .first->second;
}

/// Of what is known already nothing is appended again, and nothing at all behind a gap.
void draft_book::append(known_sequence& who, int offset, const std::vector<token_id>& tokens) {
  const auto begin = static_cast<std::size_t>(offset);
  const auto n_known = who.drafters.size();
  if (begin > n_known || begin + tokens.size() <= n_known)
    return;
  const auto fresh = std::span{tokens}.subspan(n_known - begin);
  const auto n_prompt = static_cast<std::size_t>(who.subject->n_prompt);
  const auto n_of_prompt = std::min(fresh.size(), n_prompt - std::min(n_prompt, n_known));
  who.drafters.append(fresh);
  who.answer.insert(who.answer.end(), fresh.begin() + static_cast<std::ptrdiff_t>(n_of_prompt), fresh.end());
}

void draft_book::note(const draft_wish& wish) {
  if (wish.successors.empty())
    return;
  const auto& tenant = wish.subject->tenant;
  auto* table = likely_.use(tenant);
  if (!table)
    table = &likely_.add(tenant, token_recycling{vocabulary_size_});
  if (likely_.size() > most_likely_tables_)
    likely_.drop_used_longest_ago();
  for (const auto& [token, likely] : wish.successors)
    table->note(token, likely);
}

void draft_book::end(const draft_ending& ending) {
  if (ending.is_answer && ending.subject->drafters.answers) {
    // It may never have been drafted for, and yet others are to draft from it.
    auto& who = sequence_of(ending.id, ending.subject);
    append(who, ending.offset, ending.appended);
    answers_.add(who.subject->tenant, who.answer);
  }
  known_.erase(ending.id);
}

} // namespace souffleur
