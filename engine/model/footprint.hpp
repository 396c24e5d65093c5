// What a model takes in memory, known before it is loaded.
#pragma once

#include "engine/gguf.hpp"
#include "engine/kernels/kv_layer.hpp"
#include "engine/model/transformer_config.hpp"
#include "engine/result.hpp"

#include <cstddef>

namespace souffleur {

struct model_footprint {
  std::size_t weights_bytes = 0;   ///< repacked; the file's own pages are given back
  std::size_t kv_page_bytes = 0;   ///< keys and values of page_tokens positions, all layers
  std::size_t row_bytes = 0;       ///< activations of one row of a step
  std::size_t logit_row_bytes = 0; ///< of a row that samples
  int context_length = 0;
};

/// The error names the key or tensor that is missing or not supported, as load_model's does.
result<model_footprint> footprint_of(const gguf_file& file, kv_type kv);

/// What is left of it for the host's memory, where a device has weights, pages and activations.
model_footprint beside_a_device(const model_footprint& model);

/// Of all weights once they are repacked.
std::size_t packed_weights_bytes(const gguf_file& file);

/// Of one layer's keys and values in a page, with their scales.
std::size_t kv_layer_bytes(const transformer_config& config, kv_type type);

} // namespace souffleur
