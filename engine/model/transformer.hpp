// Decoder-only transformer with grouped-query attention, RMSNorm and SwiGLU (Llama, Qwen2).
#pragma once

#include "engine/kernels/packed_matrix.hpp"
#include "engine/language_model.hpp"

#include <memory>
#include <string>
#include <vector>

namespace souffleur {

struct transformer_config {
  int n_layers = 0;
  int n_heads = 0;
  int n_kv_heads = 0;
  int head_dim = 0;
  int n_hidden = 0;
  int n_feed_forward = 0;
  int n_vocabulary = 0;
  int n_context = 0;
  float norm_epsilon = 1e-5F;
  double rope_base = 10000;
  bool rope_interleaved = false; ///< pairs (2i, 2i + 1) as GGUF's llama has them; else (i, i + head_dim / 2)
};

/// Biases are empty where the architecture has none.
struct transformer_layer {
  std::vector<float> attention_norm, feed_forward_norm; ///< (n_hidden,)
  packed_matrix q, k, v, attention_output, gate, up, down;
  std::vector<float> q_bias, k_bias, v_bias;
};

struct transformer_weights {
  packed_matrix embedding; ///< (n_vocabulary, n_hidden)
  packed_matrix output;    ///< n_out 0: tied to the embedding
  std::vector<float> output_norm;
  std::vector<transformer_layer> layers;
};

std::shared_ptr<language_model> make_transformer(const transformer_config& config,
                                                 transformer_weights weights, std::string fingerprint,
                                                 int n_kv_pages, int n_threads);

} // namespace souffleur
