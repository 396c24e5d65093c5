// What is drafted from, of all running sequences and of their tenants: the drafter without its mailbox.
#pragma once

#include "actors/messages/draft.hpp"
#include "engine/drafting/answer_trees.hpp"
#include "engine/drafting/by_tenant.hpp"
#include "engine/drafting/sequence_drafters.hpp"

#include <cstddef>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

namespace souffleur {

/// A sequence whose tokens arrive with a gap (the book was replaced in between) gets no proposal; the answer
/// says how many tokens are known, and the next wish starts there.
class draft_book {
public:
  /// `answers_bytes` bounds what is kept of finished answers, of all tenants together; one tenant has half of
  /// that at most.
  draft_book(std::size_t answers_bytes, int vocabulary_size);

  /// Drafts from what is known. Who ended is left to conclude().
  draft_offer answer(const draft_demand& demand);
  /// Forgets who ended, and keeps the answers for their tenants to draft from. To add one takes about ten
  /// times as long as to draft for 32 sequences (souffleur_drafting_bench): no offer should wait for it.
  void conclude(const draft_demand& demand);
  std::size_t size() const { return known_.size(); }

private:
  struct known_sequence {
    std::shared_ptr<const draft_subject> subject;
    sequence_drafters drafters;
    std::vector<token_id> answer; ///< what came after the prompt
  };
  /// Tenants whose likely successors are kept: those that noted any last.
  static constexpr std::size_t most_likely_tables_ = 4;

  known_sequence& sequence_of(sequence_id id, const std::shared_ptr<const draft_subject>& subject);
  static void append(known_sequence& who, int offset, std::span<const token_id> tokens);
  void note(const draft_wish& wish);
  void end(const draft_ending& ending);

  int vocabulary_size_;
  answer_trees answers_;
  by_tenant<token_recycling> likely_; ///< a use is a note
  std::unordered_map<sequence_id, known_sequence> known_;
};

} // namespace souffleur
