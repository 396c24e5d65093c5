#include "engine/tokenizer.hpp"

#include "engine/tokenizer/pre_tokenizer.hpp"
#include "engine/tokenizer/utf8.hpp"
#include "engine/tokenizer/vocabulary.hpp"

#include <algorithm>

namespace souffleur {

namespace {

class byte_level_tokenizer final : public tokenizer {
public:
  byte_level_tokenizer(pre_tokenizer splitter, vocabulary words)
      : splitter_(std::move(splitter)), words_(std::move(words)) {}

  std::vector<token_id> encode(std::string_view text, bool parse_special) const override {
    const auto repaired = repaired_utf8(text);
    const std::string_view whole = repaired;
    std::vector<token_id> tokens;
    word_merger merger{words_.pairs};
    std::size_t done = 0;
    while (const auto special = words_.specials.find(whole, done, parse_special)) {
      append_text(whole.substr(done, special->begin - done), merger, tokens);
      tokens.push_back(special->token);
      done = special->end;
    }
    append_text(whole.substr(done), merger, tokens);
    return tokens;
  }

  std::string_view piece(token_id token) const override {
    return knows(token) ? std::string_view{words_.pieces[static_cast<std::size_t>(token)]}
                        : std::string_view{};
  }
  bool is_control(token_id token) const override {
    return knows(token) && is_control_kind(words_.kinds[static_cast<std::size_t>(token)]);
  }
  bool is_end(token_id token) const override {
    return std::find(words_.ends.begin(), words_.ends.end(), token) != words_.ends.end();
  }
  std::span<const token_id> end_tokens() const override { return words_.ends; }
  std::optional<token_id> bos() const override { return words_.bos; }
  bool adds_bos() const override { return words_.adds_bos; }
  int vocabulary_size() const override { return static_cast<int>(words_.pieces.size()); }

private:
  bool knows(token_id token) const {
    return token >= 0 && static_cast<std::size_t>(token) < words_.pieces.size();
  }

  void append_text(std::string_view text, word_merger& merger, std::vector<token_id>& tokens) const {
    if (text.empty())
      return;
    const auto normal = splitter_.normalised(text);
    std::vector<std::string_view> parts;
    splitter_.split(normal, parts);
    for (const auto part : parts)
      if (const auto whole = words_.whole_words.find(part); whole != words_.whole_words.end())
        tokens.push_back(whole->second);
      else
        merger.append(part, tokens);
  }

  pre_tokenizer splitter_;
  vocabulary words_;
};

} // namespace

result<std::shared_ptr<const tokenizer>> tokenizer::from_gguf(const gguf_file& file) {
  const auto* model = file.find_string("tokenizer.ggml.model");
  if (!model)
    return failure{"tokenizer.ggml.model: is missing or no string"};
  if (*model != "gpt2")
    return failure{"tokenizer.ggml.model: " + *model + " is not supported (known: gpt2)"};
  const auto* pre = file.find_string("tokenizer.ggml.pre");
  if (!pre)
    return failure{"tokenizer.ggml.pre: is missing or no string"};
  auto splitter = pre_tokenizer::named(*pre);
  if (!splitter)
    return failure{"tokenizer.ggml.pre: " + splitter.error()};
  auto words = read_vocabulary(file, splitter->prefers_whole_words(), splitter->adds_bos_by_default());
  if (!words)
    return failure{words.error()};
  return std::shared_ptr<const tokenizer>{
      std::make_shared<byte_level_tokenizer>(std::move(*splitter), std::move(*words))};
}

std::string tokenizer::decode(std::span<const token_id> tokens, bool keep_special) const {
  std::string bytes;
  for (const auto token : tokens)
    if (keep_special || !is_control(token))
      bytes += piece(token);
  return bytes;
}

} // namespace souffleur
