// Drafts from what a sequence itself said before: its prompt, and its answer so far.
#pragma once

#include "engine/drafting/suffix_tree.hpp"

#include <cstddef>
#include <span>

namespace souffleur {

/// A suffix tree of the last tokens of one sequence: never more than `n_max`, and of a longer sequence at
/// least half of that.
class sequence_suffixes {
public:
  explicit sequence_suffixes(std::size_t n_max, int depth = suffix_tree::default_depth);

  void append(std::span<const token_id> tokens);
  draft_tree propose(const draft_shape& shape) const { return tree_.propose(tree_.repeated(), shape); }

  const suffix_tree& tree() const { return tree_; }

private:
  void close();

  std::size_t n_text_; ///< tokens that one text of the tree may have
  std::size_t n_open_ = 0;
  suffix_tree tree_;
};

} // namespace souffleur
