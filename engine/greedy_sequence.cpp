#include "engine/greedy_sequence.hpp"

#include <algorithm>
#include <numeric>

namespace souffleur {

greedy_sequence::greedy_sequence(language_model& model, std::vector<token_id> prompt)
    : model_(model), pages_(static_cast<std::size_t>(model.n_pages())), tokens_(std::move(prompt)) {
  std::iota(pages_.begin(), pages_.end(), 0);
}

void greedy_sequence::step(std::span<const token_id> draft) {
  std::vector rows(tokens_.begin() + n_computed_, tokens_.end());
  rows.insert(rows.end(), draft.begin(), draft.end());
  const auto n_vocabulary = static_cast<std::size_t>(model_.vocabulary_size());
  std::vector<float> logits((draft.size() + 1) * n_vocabulary);
  const sequence_rows batch[] = {{pages_, n_computed_, rows, static_cast<int>(draft.size()) + 1}};
  model_.forward(batch, logits);
  n_computed_ = static_cast<int>(tokens_.size());
  for (std::size_t i = 0;; ++i, ++n_computed_) {
    const auto row = std::span{logits}.subspan(i * n_vocabulary, n_vocabulary);
    tokens_.push_back(static_cast<token_id>(std::ranges::max_element(row) - row.begin()));
    if (i == draft.size() || tokens_.back() != draft[i])
      return;
  }
}

} // namespace souffleur
