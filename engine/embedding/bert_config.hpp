// What a BERT encoder is made of, by its config.json.
#pragma once

#include "engine/result.hpp"

#include <string_view>

namespace souffleur {

struct bert_config {
  int n_layers = 0;
  int n_hidden = 0;
  int n_heads = 0;
  int n_inner = 0;     ///< of the feed-forward layers
  int n_positions = 0; ///< that there are embeddings for
  int n_vocabulary = 0;
  float epsilon = 0; ///< of the layer norms

  int head_dim() const { return n_hidden / n_heads; }
};

/// Hugging Face's keys. The error names the one that is missing or not supported: other activations than
/// GELU, other positions than learned ones, heads that the kernels do not take.
result<bert_config> read_bert_config(std::string_view json);

} // namespace souffleur
