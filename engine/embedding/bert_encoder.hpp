// A BERT encoder with mean pooling.
#pragma once

#include "engine/embedding/bert_config.hpp"
#include "engine/embedding/bert_weights.hpp"
#include "engine/kernels/attention.hpp"
#include "engine/kernels/isa.hpp"
#include "engine/kernels/kernel_table.hpp"
#include "engine/kernels/lazy_floats.hpp"
#include "engine/kernels/thread_team.hpp"
#include "policies/token.hpp"

#include <span>
#include <vector>

namespace souffleur {

/// The rows of all texts of a call stand in one matrix, so there is no padding. A text's embedding is
/// bit-identical whatever texts share the call and however many threads there are. One caller at a time.
class bert_encoder {
public:
  bert_encoder(const bert_config& config, bert_weights weights, int n_threads, isa level);

  /// out (n_texts, n_hidden): of each text the mean of the last layer's rows, of length 1. REQUIRES: every
  /// text has 1 to n_positions ids of the vocabulary.
  void encode(std::span<const std::span<const token_id>> texts, float* out);

  /// Of the intermediate values of a call with so many rows in texts of at least `least_row` rows each.
  static std::size_t scratch_bytes(const bert_config& config, int n_rows, int least_rows);

private:
  struct batch;

  void embed(const batch& rows, float* x);
  void attend(const bert_layer& layer, const batch& rows, float* x);
  void feed_forward(const bert_layer& layer, const batch& rows, float* x);
  void pool(const batch& rows, const float* x, float* out);
  void norm(const layer_norm_weights& weights, int n_rows, float* x);
  template <class F>
  void for_rows(int n_rows, const F& body);

  bert_config config_;
  bert_weights weights_;
  thread_team team_;
  isa level_;
  const kernel_table& kernels_;
  // Of the call under way; rows are those of all texts.
  lazy_floats x_;       ///< (n_rows, n_hidden)
  lazy_floats qkv_;     ///< (n_rows, 3, n_heads, head_dim)
  lazy_floats context_; ///< (n_rows, n_hidden)
  lazy_floats inner_;   ///< (n_rows, n_inner)
  lazy_floats keys_;    ///< (n_pages, n_heads, head_dim, page_tokens)
  lazy_floats values_;  ///< (n_pages, n_heads, page_tokens, head_dim)
};

} // namespace souffleur
