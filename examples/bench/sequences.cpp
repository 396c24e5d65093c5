#include "examples/bench/sequences.hpp"

#include <algorithm>
#include <numeric>

namespace souffleur::bench {

namespace {

int pages_of(int n_positions) { return (n_positions + page_tokens - 1) / page_tokens; }

} // namespace

int sequences::n_pages_needed(int n_sequences, int n_positions) {
  return n_sequences * pages_of(n_positions);
}

sequences::sequences(std::shared_ptr<language_model> model, int n_sequences, int n_positions,
                     int chunk_tokens)
    : model_(std::move(model)), chunk_tokens_(chunk_tokens),
      tokens_(static_cast<std::size_t>(n_positions + n_sequences)),
      n_filled_(static_cast<std::size_t>(n_sequences)) {
  for (std::size_t i = 0; i < tokens_.size(); ++i)
    tokens_[i] = static_cast<token_id>((i * 7919 + 13) % static_cast<std::size_t>(model_->vocabulary_size()));
  const int n_pages_each = pages_of(n_positions);
  for (int s = 0; s < n_sequences; ++s) {
    pages_.emplace_back(static_cast<std::size_t>(n_pages_each));
    std::iota(pages_.back().begin(), pages_.back().end(), s * n_pages_each);
  }
}

void sequences::fill(int n, int depth) {
  for (int s = 0; s < n; ++s) {
    auto& filled = n_filled_[static_cast<std::size_t>(s)];
    if (filled < depth)
      compute(s, filled, depth - filled, 0);
    filled = std::max(filled, depth);
  }
}

void sequences::prefill(int depth, int n_tokens) { compute(0, depth, n_tokens, 1); }

void sequences::decode_step(int n, int position) {
  std::vector<sequence_rows> batch;
  batch.reserve(static_cast<std::size_t>(n));
  for (int s = 0; s < n; ++s)
    batch.push_back(rows_of(s, position, 1, 1));
  forward(batch);
}

void sequences::verify(int depth, int n_rows) { forward({rows_of(0, depth, n_rows, n_rows)}); }

sequence_rows sequences::rows_of(int sequence, int first, int n, int n_logit_rows) const {
  const auto begin = static_cast<std::size_t>(sequence) + static_cast<std::size_t>(first);
  return {pages_[static_cast<std::size_t>(sequence)], first,
          std::span{tokens_}.subspan(begin, static_cast<std::size_t>(n)), n_logit_rows};
}

void sequences::compute(int sequence, int first, int n_tokens, int n_logit_rows) {
  for (int done = 0; done < n_tokens; done += chunk_tokens_) {
    const int n = std::min(chunk_tokens_, n_tokens - done);
    forward({rows_of(sequence, first + done, n, done + n == n_tokens ? n_logit_rows : 0)});
  }
}

void sequences::forward(const std::vector<sequence_rows>& batch) {
  std::size_t n_logits = 0;
  for (const auto& rows : batch)
    n_logits +=
        static_cast<std::size_t>(rows.n_logit_rows) * static_cast<std::size_t>(model_->vocabulary_size());
  if (logits_.size() < n_logits)
    logits_.resize(n_logits);
  model_->forward(batch, std::span{logits_}.first(n_logits));
}

} // namespace souffleur::bench
