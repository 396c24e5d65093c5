#include "engine/drafting/suffix_match.hpp"

#include <algorithm>

namespace souffleur {

suffix_match::suffix_match(int depth) : n_kept_(static_cast<std::uint32_t>(std::max(depth, 2) - 1)) {}

void suffix_match::append(std::span<const token_id> tokens) {
  for (const auto token : tokens.last(std::min<std::size_t>(tokens.size(), n_kept_))) {
    context_.push(token);
    if (context_.size() > n_kept_) {
      context_.drop_before(context_.end() - n_kept_);
    }
  }
}

draft_tree suffix_match::propose(const suffix_tree& tree, const draft_shape& shape) {
  catch_up(tree);
  auto draft = tree.propose(at_, shape);
  draft.origin = token_origin::answers;
  return draft;
}

/// Of the context before the tokens that are kept nothing is left in a match of less than `depth` tokens, so
/// it does not matter what `at_` was when some were skipped.
void suffix_match::catch_up(const suffix_tree& tree) {
  if (version_ != tree.version()) {
    version_ = tree.version();
    n_followed_ = context_.begin();
    at_ = {};
  }
  for (n_followed_ = std::max(n_followed_, context_.begin()); n_followed_ != context_.end(); ++n_followed_) {
    tree.advance(at_, context_[n_followed_]);
  }
}

} // namespace souffleur
