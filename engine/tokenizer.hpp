// Text to tokens and back, by the vocabulary in a GGUF: byte-level BPE or SentencePiece's BPE.
#pragma once

#include "engine/gguf.hpp"
#include "engine/result.hpp"
#include "policies/token.hpp"

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace souffleur {

/// Immutable after construction; safe to share between threads.
class tokenizer {
public:
  /// `tokenizer.ggml.model` must be gpt2 (with `tokenizer.ggml.pre` one of default, gpt-2, llama-bpe, smollm,
  /// qwen2) or llama.
  static result<std::shared_ptr<const tokenizer>> from_gguf(const gguf_file& file);
  virtual ~tokenizer() = default;

  /// Token ids of UTF-8 text (invalid parts become U+FFFD). No BOS or EOS is added.
  /// With `parse_special` control tokens spelled out in the text become their ids.
  virtual std::vector<token_id> encode(std::string_view text, bool parse_special) const = 0;
  /// Bytes of one token; may be part of a UTF-8 character. Empty for an id outside the vocabulary.
  virtual std::string_view piece(token_id token) const = 0;
  virtual bool is_control(token_id token) const = 0;
  /// True for the ids that end a generation (EOS, end of turn).
  virtual bool is_end(token_id token) const = 0;
  virtual std::span<const token_id> end_tokens() const = 0;
  virtual std::optional<token_id> bos() const = 0;
  virtual bool adds_bos() const = 0;
  virtual int vocabulary_size() const = 0;

  /// All pieces joined; control tokens are left out unless `keep_special`.
  std::string decode(std::span<const token_id> tokens, bool keep_special = false) const;
};

} // namespace souffleur
