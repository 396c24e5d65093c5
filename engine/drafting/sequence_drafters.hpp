// All drafters of one sequence that draft from texts.
#pragma once

#include "engine/drafting/drafter_set.hpp"
#include "engine/drafting/expected_text.hpp"
#include "engine/drafting/prompt_lookup.hpp"
#include "engine/drafting/sequence_suffixes.hpp"
#include "engine/drafting/suffix_match.hpp"
#include "engine/drafting/token_recycling.hpp"

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

namespace souffleur {

/// What others know that a sequence may draft from; null: nothing.
struct shared_texts {
  const suffix_tree* answers = nullptr;
  const token_recycling* likely = nullptr;
};

class sequence_drafters {
public:
  sequence_drafters(drafter_set which, std::span<const token_id> prediction);

  /// Adds tokens to the end of the text.
  void append(std::span<const token_id> tokens);
  /// One draft of each drafter that has any; none is empty.
  std::vector<draft_tree> propose(const shared_texts& shared, const draft_shape& shape);
  /// Tokens appended so far.
  std::size_t size() const { return n_tokens_; }

private:
  /// Tokens of the sequence in its suffix tree, at most.
  static constexpr std::size_t n_in_tree_ = std::size_t{1} << 15;

  drafter_set which_;
  std::size_t n_tokens_ = 0;
  token_id last_ = 0; ///< if there is one
  prompt_lookup lookup_;
  sequence_suffixes own_{n_in_tree_};
  suffix_match in_answers_;
  std::optional<expected_text> expected_;
};

} // namespace souffleur
