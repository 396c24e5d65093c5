// Sequences of meaningless text over a model's KV pool, one set of pages each.
#pragma once

#include "engine/language_model.hpp"

#include <memory>
#include <vector>

namespace souffleur::bench {

/// The token at a position of a sequence is always the same, so what a run writes past a depth stays valid
/// for a deeper one.
class sequences {
public:
  /// Room for `n_positions` each.
  sequences(std::shared_ptr<language_model> model, int n_sequences, int n_positions, int chunk_tokens);

  static int n_pages_needed(int n_sequences, int n_positions);

  /// Puts positions [0, depth) of the first `n` sequences in the cache, if they are not.
  void fill(int n, int depth);
  /// Computes positions [depth, depth + n_tokens) of the first sequence; logits of the last alone.
  void prefill(int depth, int n_tokens);
  /// One row of each of the first `n`, all with logits.
  void decode_step(int n, int position);
  /// `n_rows` rows of the first sequence in one pass, all with logits.
  void verify(int depth, int n_rows);

private:
  sequence_rows rows_of(int sequence, int first, int n, int n_logit_rows) const;
  void compute(int sequence, int first, int n_tokens, int n_logit_rows);
  void forward(const std::vector<sequence_rows>& batch);

  std::shared_ptr<language_model> model_;
  int chunk_tokens_;
  std::vector<token_id> tokens_; ///< sequence s begins at tokens_[s]
  std::vector<std::vector<page_id>> pages_;
  std::vector<int> n_filled_; ///< positions in the cache, by sequence
  std::vector<float> logits_;
};

} // namespace souffleur::bench
