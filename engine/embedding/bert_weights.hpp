// The tensors of a BERT encoder.
#pragma once

#include "engine/embedding/bert_config.hpp"
#include "engine/embedding/safetensors.hpp"
#include "engine/kernels/packed_matrix.hpp"
#include "engine/result.hpp"

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace souffleur {

struct layer_norm_weights {
  std::vector<float> weight; ///< (n_hidden,)
  std::vector<float> bias;
};

struct bert_layer {
  std::vector<packed_matrix> qkv; ///< queries, keys and values, each (n_hidden, n_hidden)
  std::vector<float> qkv_bias;
  packed_matrix attention_output; ///< (n_hidden, n_hidden)
  std::vector<float> attention_output_bias;
  layer_norm_weights attention_norm;
  packed_matrix inner; ///< (n_inner, n_hidden)
  std::vector<float> inner_bias;
  packed_matrix output; ///< (n_hidden, n_inner)
  std::vector<float> output_bias;
  layer_norm_weights output_norm;
};

/// The embeddings stay in the mapped file, where only rows that are used become resident.
struct bert_weights {
  std::shared_ptr<const safetensors_file> file;
  std::span<const std::byte> words;     ///< (n_vocabulary, n_hidden) float32, not aligned
  std::span<const std::byte> positions; ///< (n_positions, n_hidden)
  std::vector<float> segment;           ///< (n_hidden,): all text is of the first segment
  layer_norm_weights embedding_norm;
  std::vector<bert_layer> layers;
};

/// The error names the tensor that is missing or has another shape or type than float32. The pages of what
/// was repacked are given back.
result<bert_weights> read_bert_weights(const std::shared_ptr<const safetensors_file>& file,
                                       const bert_config& config);

/// Upper bound of what they take once they are read, the embeddings counted in full.
std::size_t bert_weights_bytes(const bert_config& config);

} // namespace souffleur
