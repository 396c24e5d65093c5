#include "engine/tokenizer.hpp"

#include "engine/tokenizer/vocabulary_tokenizer.hpp"

namespace souffleur {

result<std::shared_ptr<const tokenizer>> tokenizer::from_gguf(const gguf_file& file) {
  const auto* model = file.find_string("tokenizer.ggml.model");
  if (!model)
    return failure{"tokenizer.ggml.model: is missing or no string"};
  if (*model == "gpt2")
    return read_byte_level_tokenizer(file);
  if (*model == "llama")
    return read_sentence_piece_tokenizer(file);
  return failure{"tokenizer.ggml.model: " + *model + " is not supported (known: gpt2, llama)"};
}

std::string tokenizer::decode(std::span<const token_id> tokens, bool keep_special) const {
  std::string bytes;
  for (const auto token : tokens)
    if (keep_special || !is_control(token))
      bytes += piece(token);
  return bytes;
}

} // namespace souffleur
