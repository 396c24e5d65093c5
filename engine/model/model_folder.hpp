// Where fetched models are, and which file a name means.
#pragma once

#include <string>

namespace souffleur {

/// $XDG_CACHE_HOME/souffleur/models, by default ~/.cache/souffleur/models.
std::string default_model_folder();

/// The file that `model` means: itself if it exists, else NAME.gguf in the folder. Empty if there is none.
std::string find_model_file(const std::string& model, const std::string& folder);

/// The folder of an embedding model that `model` means: itself if it has a model.safetensors, else NAME in
/// the folder. Empty if there is none.
std::string find_embedding_folder(const std::string& model, const std::string& folder);

} // namespace souffleur
