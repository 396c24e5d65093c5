// Llama and what shares its shape (SmolLM2, Mistral). Source: Touvron et al. 2023.
#include "engine/model/architectures.hpp"

namespace souffleur {

transformer_config read_llama(metadata_reader& in) {
  auto config = common_config(in);
  config.rope_interleaved = true;
  return config;
}

} // namespace souffleur
