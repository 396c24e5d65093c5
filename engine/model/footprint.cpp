#include "engine/model/footprint.hpp"

#include "engine/kernels/packed_matrix.hpp"
#include "engine/model/architectures.hpp"
#include "policies/token.hpp"

#include <algorithm>

namespace souffleur {

namespace {

/// Hidden state and addend, queries keys values, attended, gated; then what is rounded of the widest input.
std::size_t row_bytes_of(const transformer_config& c) {
  const int n_attended = c.n_heads * c.head_dim;
  const int n_floats =
      2 * c.n_hidden + n_attended + 2 * c.n_kv_heads * c.head_dim + n_attended + c.n_feed_forward;
  const int n_rounded = std::max({c.n_hidden, n_attended, c.n_feed_forward});
  return static_cast<std::size_t>(n_floats) * sizeof(float) + 2 * static_cast<std::size_t>(n_rounded);
}

} // namespace

std::size_t packed_weights_bytes(const gguf_file& file) {
  std::size_t n = 0;
  for (const auto& tensor : file.tensors()) {
    if (tensor.shape.size() == 2) {
      n += packed_matrix::packed_bytes(tensor.type, static_cast<int>(tensor.shape[1]),
                                       static_cast<int>(tensor.shape[0]));
    } else {
      std::size_t n_values = 1;
      for (const auto size : tensor.shape)
        n_values *= static_cast<std::size_t>(size);
      n += n_values * sizeof(float);
    }
  }
  return n;
}

std::size_t kv_layer_bytes(const transformer_config& config, kv_type type) {
  const auto head_values = static_cast<std::size_t>(config.head_dim) * page_tokens;
  const auto n_scales = static_cast<std::size_t>(n_head_scales(type, config.head_dim));
  return static_cast<std::size_t>(config.n_kv_heads) *
         (2 * head_values * bytes_per_value(type) + n_scales * page_tokens * sizeof(float));
}

result<model_footprint> footprint_of(const gguf_file& file, kv_type kv) {
  const auto config = read_config(file);
  if (!config)
    return failure{config.error()};
  return model_footprint{packed_weights_bytes(file),
                         kv_layer_bytes(*config, kv) * static_cast<std::size_t>(config->n_layers),
                         row_bytes_of(*config),
                         static_cast<std::size_t>(config->n_vocabulary) * sizeof(float), config->n_context};
}

model_footprint beside_a_device(const model_footprint& model) {
  return {.logit_row_bytes = model.logit_row_bytes, .context_length = model.context_length};
}

} // namespace souffleur
