#include "actors/draft_book.hpp"

#include <algorithm>

namespace souffleur {

namespace {

/// What of `tokens`, which begin at `offset` of a text, comes after the `n_known` first ones; nothing behind
/// a gap.
std::span<const token_id> unknown_of(std::span<const token_id> tokens, int offset, std::size_t n_known) {
  const auto begin = static_cast<std::size_t>(offset);
  return begin > n_known ? tokens.first(0) : tokens.subspan(std::min(tokens.size(), n_known - begin));
}

/// `fresh`, which comes after the `n_known` first tokens, goes to the answer as far as it is not the
/// prompt's.
void add_to_answer(std::vector<token_id>& answer, std::span<const token_id> fresh, std::size_t n_known,
                   int n_prompt) {
  const auto n_before = static_cast<std::size_t>(n_prompt);
  const auto said = fresh.subspan(std::min(fresh.size(), n_before - std::min(n_before, n_known)));
  answer.insert(answer.end(), said.begin(), said.end());
}

} // namespace

draft_book::draft_book(std::size_t answers_bytes, int vocabulary_size)
    : vocabulary_size_(vocabulary_size), answers_(answers_bytes, answers_bytes / 2) {}

draft_offer draft_book::answer(const draft_demand& demand) {
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

void draft_book::conclude(const draft_demand& demand) {
  for (const auto& ending : demand.ended)
    end(ending);
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

void draft_book::append(known_sequence& who, int offset, std::span<const token_id> tokens) {
  const auto n_known = who.drafters.size();
  const auto fresh = unknown_of(tokens, offset, n_known);
  who.drafters.append(fresh);
  add_to_answer(who.answer, fresh, n_known, who.subject->n_prompt);
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
  auto gone = known_.extract(ending.id);
  if (!ending.is_answer || !ending.subject->drafters.answers)
    return;
  // It may never have been drafted for, and yet others are to draft from it.
  const auto n_known = gone ? gone.mapped().drafters.size() : 0;
  auto answer = gone ? std::move(gone.mapped().answer) : std::vector<token_id>{};
  add_to_answer(answer, unknown_of(ending.appended, ending.offset, n_known), n_known,
                ending.subject->n_prompt);
  answers_.add(ending.subject->tenant, answer);
}

} // namespace souffleur
