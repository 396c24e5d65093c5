// Qwen3, dense: norms of queries and keys instead of Qwen2's biases. Source: Yang et al. 2025.
#include "engine/model/architectures.hpp"

namespace souffleur {

transformer_config read_qwen3(metadata_reader& in) {
  auto config = common_config(in);
  config.has_qk_norm = true;
  return config;
}

} // namespace souffleur
