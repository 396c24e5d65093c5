// What tokenizers share: special tokens are cut out of the text, and every token has its bytes.
#pragma once

#include "engine/tokenizer.hpp"
#include "engine/tokenizer/vocabulary.hpp"

namespace souffleur {

class vocabulary_tokenizer : public tokenizer {
public:
  std::vector<token_id> encode(std::string_view text, bool parse_special) const final;
  std::string_view piece(token_id token) const final;
  bool is_control(token_id token) const final;
  bool is_end(token_id token) const final;
  std::span<const token_id> end_tokens() const final { return words_.ends; }
  std::optional<token_id> bos() const final { return words_.bos; }
  bool adds_bos() const final { return words_.adds_bos; }
  int vocabulary_size() const final { return static_cast<int>(words_.pieces.size()); }

protected:
  explicit vocabulary_tokenizer(vocabulary words) : words_(std::move(words)) {}
  /// Appends the tokens of all text between two special tokens: valid UTF-8, not empty.
  virtual void append_text(std::string_view text, std::vector<token_id>& tokens) const = 0;

private:
  bool knows(token_id token) const {
    return token >= 0 && static_cast<std::size_t>(token) < words_.pieces.size();
  }
  vocabulary words_;
};

/// `tokenizer.ggml.model` gpt2: byte-level BPE within the words of the pre-tokenizer `tokenizer.ggml.pre`.
result<std::shared_ptr<const tokenizer>> read_byte_level_tokenizer(const gguf_file& file);
/// `tokenizer.ggml.model` llama: SentencePiece's BPE, by scores.
result<std::shared_ptr<const tokenizer>> read_sentence_piece_tokenizer(const gguf_file& file);

} // namespace souffleur
