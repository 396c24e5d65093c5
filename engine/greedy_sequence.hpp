// A text that a model goes on with, alone and always with the likeliest token: decoding without actors.
#pragma once

#include "engine/language_model.hpp"

#include <span>
#include <vector>

namespace souffleur {

/// Uses the model's KV pages from the first on, so that a model has one such sequence at a time.
class greedy_sequence {
public:
  /// REQUIRES: `prompt` is not empty; the model outlives the sequence.
  greedy_sequence(language_model& model, std::vector<token_id> prompt);

  /// Prompt and what was made.
  const std::vector<token_id>& tokens() const { return tokens_; }
  /// One forward pass: appends what of `draft`, at its front, is what the model would have said, and one
  /// token more. So the text does not depend on drafts. REQUIRES: the pages have room for tokens() and the
  /// draft.
  void step(std::span<const token_id> draft = {});

private:
  language_model& model_;
  std::vector<page_id> pages_;
  std::vector<token_id> tokens_;
  int n_computed_ = 0; ///< of tokens_, whose keys and values are in the pages
};

} // namespace souffleur
