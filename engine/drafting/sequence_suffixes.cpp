#include "engine/drafting/sequence_suffixes.hpp"

#include <algorithm>

namespace souffleur {

/// Half of `n_max` is for the open text, half for those before it and for the mark after each.
sequence_suffixes::sequence_suffixes(std::size_t n_max, int depth)
    : n_text_(std::max<std::size_t>(n_max / 2, 2) - 1), tree_(depth) {}

void sequence_suffixes::append(std::span<const token_id> tokens) {
  while (!tokens.empty()) {
    const auto n = std::min(tokens.size(), n_text_ - n_open_);
    tree_.append(tokens.first(n));
    tokens = tokens.subspan(n);
    n_open_ += n;
    if (n_open_ == n_text_) {
      close();
    }
  }
}

void sequence_suffixes::close() {
  tree_.close();
  n_open_ = 0;
  while (tree_.n_tokens() > n_text_ + 1) {
    tree_.remove_oldest();
  }
}

} // namespace souffleur
