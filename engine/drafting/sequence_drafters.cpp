#include "engine/drafting/sequence_drafters.hpp"

namespace souffleur {

sequence_drafters::sequence_drafters(drafter_set which, std::span<const token_id> prediction)
    : which_(which) {
  if (!prediction.empty() && which != drafter_set{})
    expected_.emplace(prediction);
}

void sequence_drafters::append(std::span<const token_id> tokens) {
  if (tokens.empty())
    return;
  n_tokens_ += tokens.size();
  last_ = tokens.back();
  if (which_.prompt_lookup)
    lookup_.append(tokens);
  if (which_.suffix)
    own_.append(tokens);
  if (which_.answers)
    in_answers_.append(tokens);
  if (expected_)
    expected_->append(tokens);
}

std::vector<draft_tree> sequence_drafters::propose(const shared_texts& shared, const draft_shape& shape) {
  std::vector<draft_tree> drafts;
  const auto add = [&](draft_tree draft) {
    if (!draft.nodes.empty())
      drafts.push_back(std::move(draft));
  };
  if (expected_)
    add(expected_->propose(shape));
  if (which_.prompt_lookup)
    add(lookup_.propose(shape.n_max));
  if (which_.suffix)
    add(own_.propose(shape));
  if (which_.answers && shared.answers)
    add(in_answers_.propose(*shared.answers, shape));
  if (which_.recycling && shared.likely && n_tokens_ > 0)
    add(shared.likely->propose(last_, shape));
  return drafts;
}

} // namespace souffleur
