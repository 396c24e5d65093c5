// Decoder-only transformer over paged KV, as its config describes it.
#pragma once

#include "engine/kernels/packed_matrix.hpp"
#include "engine/language_model.hpp"
#include "engine/model/model_options.hpp"
#include "engine/model/transformer_config.hpp"

#include <memory>
#include <string>
#include <vector>

namespace souffleur {

/// Biases and norms are empty where the architecture has none. Queries and keys of a head are in the order
/// that rope turns: the pair of i is i + head_dim / 2.
struct transformer_layer {
  std::vector<float> attention_norm, feed_forward_norm;             ///< (n_hidden,)
  std::vector<float> norm_after_attention, norm_after_feed_forward; ///< (n_hidden,)
  std::vector<float> q_norm, k_norm;                                ///< (head_dim,)
  packed_matrix q, k, v, attention_output, down;
  std::vector<packed_matrix> gate_up; ///< a gated one; or gate and up, where they have different formats
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
                                                 const model_options& options);

} // namespace souffleur
