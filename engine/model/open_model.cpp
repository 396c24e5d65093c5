#include "engine/model/open_model.hpp"

#include "engine/gguf.hpp"
#include "engine/model/load_model.hpp"
#include "engine/model/model_folder.hpp"

namespace souffleur {

result<std::shared_ptr<const chat_template>> chat_template_of(const gguf_file& file) {
  const auto* source = file.find_string("tokenizer.chat_template");
  if (source == nullptr)
    return std::shared_ptr<const chat_template>{};
  auto parsed = chat_template::parse(*source);
  return parsed ? parsed : failure{"tokenizer.chat_template: " + parsed.error()};
}

result<opened_model> open_model(const std::string& model, const model_options& options) {
  const auto path = find_model_file(model, default_model_folder());
  if (path.empty())
    return failure{"\"" + model + "\" is neither a file nor a model in " + default_model_folder()};
  const auto file = gguf_file::open(path);
  if (!file)
    return failure{file.error()};
  const auto vocabulary = tokenizer::from_gguf(**file);
  if (!vocabulary)
    return failure{path + ": " + vocabulary.error()};
  const auto chat = chat_template_of(**file);
  if (!chat)
    return failure{path + ": " + chat.error()};
  const auto weights = load_model(*file, options);
  if (!weights)
    return failure{path + ": " + weights.error()};
  return opened_model{*weights, *vocabulary, *chat ? *chat : chat_template::chatml()};
}

} // namespace souffleur
