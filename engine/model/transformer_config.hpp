// How a decoder-only transformer is built, as plain data: what an architecture's file fills in.
#pragma once

#include "engine/kernels/activation.hpp"

#include <vector>

namespace souffleur {

/// The angle of pair i at position p is p / position_scale * base^(-2 i / head_dim).
struct rope_config {
  double base = 10000;
  double position_scale = 1; ///< linear scaling: how often the trained context was stretched
  bool operator==(const rope_config&) const = default;
};

/// What may differ from layer to layer.
struct layer_config {
  rope_config rope;
  int window = 0; ///< positions that a row sees, its own included; 0: all
};

/// Root mean square norms before attention, before the feed-forward and before the output; grouped-query
/// attention; a gated feed-forward.
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
  bool rope_interleaved = false; ///< pairs (2i, 2i + 1) as GGUF's llama has them; else (i, i + head_dim / 2)
  double attention_scale = 1;    ///< of q · k before the softmax
  double embedding_scale = 1;    ///< of a token's embedding
  activation feed_forward_activation = activation::silu;
  bool has_qk_norm = false;           ///< norms of each query and key head before rope
  bool has_norms_after_parts = false; ///< besides, norms of what attention and feed-forward add
  std::vector<layer_config> layers;   ///< (n_layers,)
};

} // namespace souffleur
