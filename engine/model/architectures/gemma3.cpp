// Gemma 3, text only: five layers of local attention to one of global. Its norms' weights have their +1 in
// the file. Source: Gemma Team 2025.
#include "engine/model/architectures.hpp"

#include <cmath>

namespace souffleur {

namespace {

/// The 27B model alone scales by another size than its heads'; files do not say which they are.
constexpr int layers_of_27b = 62;

} // namespace

transformer_config read_gemma3(metadata_reader& in) {
  auto config = common_config(in);
  config.has_qk_norm = true;
  config.has_norms_after_parts = true;
  config.feed_forward_activation = activation::gelu_tanh;
  config.embedding_scale = std::sqrt(static_cast<double>(config.n_hidden));
  if (config.n_layers == layers_of_27b)
    config.attention_scale = std::sqrt(static_cast<double>(config.n_heads) / config.n_hidden);
  const layer_config local{.rope = {.base = in.positive_or("rope.freq_base_swa", 10000)},
                           .window = in.count("attention.sliding_window")};
  const int period = in.count_or("attention.sliding_window_pattern", 6);
  for (int i = 0; i < config.n_layers; ++i)
    if ((i + 1) % period != 0)
      config.layers[static_cast<std::size_t>(i)] = local;
  return config;
}

} // namespace souffleur
