#include "engine/model/model_folder.hpp"

#include <cstdlib>
#include <filesystem>

namespace souffleur {

std::string default_model_folder() {
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache != nullptr && *cache != '\0')
    return std::string{cache} + "/souffleur/models";
  const char* home = std::getenv("HOME");
  return std::string{home != nullptr ? home : "."} + "/.cache/souffleur/models";
}

std::string find_model_file(const std::string& model, const std::string& folder) {
  std::error_code ignored;
  if (std::filesystem::is_regular_file(model, ignored))
    return model;
  const auto named = std::filesystem::path{folder} / (model + ".gguf");
  return std::filesystem::is_regular_file(named, ignored) ? named.string() : "";
}

std::string find_embedding_folder(const std::string& model, const std::string& folder) {
  std::error_code ignored;
  for (const auto& path : {std::filesystem::path{model}, std::filesystem::path{folder} / model})
    if (std::filesystem::is_regular_file(path / "model.safetensors", ignored))
      return path.string();
  return "";
}

} // namespace souffleur
