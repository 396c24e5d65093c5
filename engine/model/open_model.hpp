// One call from a model file to what is needed to use it, for programs that embed Souffleur.
#pragma once

#include "engine/chat_template.hpp"
#include "engine/language_model.hpp"
#include "engine/model/model_options.hpp"
#include "engine/result.hpp"
#include "engine/tokenizer.hpp"

#include <memory>
#include <string>

namespace souffleur {

class gguf_file;

/// Null: the file has none.
result<std::shared_ptr<const chat_template>> chat_template_of(const gguf_file& file);

struct opened_model {
  std::shared_ptr<language_model> model;
  std::shared_ptr<const tokenizer> vocabulary;
  std::shared_ptr<const chat_template> chat; ///< ChatML if the file has none
};

/// Loads a GGUF file, or the fetched model of that name. The error names the file and what is wrong in it.
result<opened_model> open_model(const std::string& model, const model_options& options);

} // namespace souffleur
