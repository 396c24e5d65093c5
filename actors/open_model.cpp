#include "actors/open_model.hpp"

#include "engine/model/open_model.hpp"

#include <algorithm>
#include <thread>

namespace souffleur {

result<loaded_model> open_model(const std::string& model, const serving_config& config, int n_threads) {
  model_options options;
  options.n_threads =
      n_threads > 0 ? n_threads : static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  options.n_kv_pages = config.n_kv_pages;
  const auto opened = open_model(model, options);
  if (!opened)
    return failure{opened.error()};
  loaded_model loaded;
  loaded.model = opened->model;
  loaded.vocabulary = opened->vocabulary;
  loaded.chat = opened->chat;
  return loaded;
}

} // namespace souffleur
