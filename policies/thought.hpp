// Where a reasoning model thinks before it answers, by the marks in its tokens.
#pragma once

#include "policies/token.hpp"

#include <memory>
#include <span>
#include <vector>

namespace souffleur {

/// How a model writes a thought: `begin`, the thought, `end`.
struct thought_marks {
  token_id begin = 0;
  token_id end = 0;
  std::vector<token_id> closing; ///< what is said for the model to end its thought; has `end`
};

/// Follows the tokens of one answer. An answer may have several thoughts; a mark within a thought that begins
/// one, or outside of any that ends one, is no mark.
class thought_reader {
public:
  /// Some templates begin the thought: then a prompt ends with `begin`, but for a few tokens of white space.
  thought_reader(std::shared_ptr<const thought_marks> marks, std::span<const token_id> prompt);

  void read(token_id token);
  /// Whether the next token is one of a thought, or ends it.
  bool is_open() const { return is_open_; }
  /// Of the answer's thoughts so far, without marks.
  int n_tokens() const { return n_tokens_; }
  const thought_marks& marks() const { return *marks_; }

private:
  static constexpr std::size_t max_white_tokens = 2;

  std::shared_ptr<const thought_marks> marks_;
  bool is_open_ = false;
  int n_tokens_ = 0;
};

} // namespace souffleur
