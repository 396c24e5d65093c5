// Prompt-lookup tables of all running sequences: the drafter without its mailbox.
#pragma once

#include "actors/messages/draft.hpp"
#include "engine/drafting/prompt_lookup.hpp"

#include <unordered_map>

namespace souffleur {

/// A sequence whose tokens arrive with a gap (the book was replaced in between) gets no proposal; the answer
/// says how many tokens are known, and the next wish starts there.
class draft_book {
public:
  draft_offer answer(const draft_demand& demand);
  std::size_t size() const { return tables_.size(); }

private:
  std::unordered_map<sequence_id, prompt_lookup> tables_;
};

} // namespace souffleur
