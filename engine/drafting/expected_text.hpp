// Drafts from a text that the answer is expected to be alike to.
#pragma once

#include "engine/drafting/suffix_match.hpp"
#include "engine/drafting/suffix_tree.hpp"

#include <span>

namespace souffleur {

/// What a client predicts (OpenAI's `prediction`), or an answer to a similar question. Where the sequence
/// leaves it, its next tokens are looked for in all of it again.
class expected_text {
public:
  explicit expected_text(std::span<const token_id> text) {
    tree_.append(text);
    tree_.close();
  }

  /// Adds tokens to the end of the sequence.
  void append(std::span<const token_id> tokens) { at_.append(tokens); }
  draft_tree propose(const draft_shape& shape) {
    auto draft = at_.propose(tree_, shape);
    draft.origin = token_origin::prediction;
    return draft;
  }

private:
  suffix_tree tree_;
  suffix_match at_;
};

} // namespace souffleur
