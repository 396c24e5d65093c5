// One call from a model file to what serving_system::start() needs, for programs that embed Souffleur.
#pragma once

#include "actors/serving_system.hpp"

#include <string>

namespace souffleur {

/// Loads a GGUF file, or the fetched model of that name, with the KV pages that `config` says; `n_threads` 0:
/// one for each CPU. No draft model, no embedder, no store: these can be added to what is returned.
result<loaded_model> open_model(const std::string& model, const serving_config& config, int n_threads = 0);

} // namespace souffleur
