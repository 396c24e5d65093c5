// Cuts text into the words within which byte pairs are merged.
#pragma once

#include "engine/result.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace souffleur {

/// Splitting rules of one family of models. Immutable; safe to share between threads.
class pre_tokenizer {
public:
  /// `name` as in `tokenizer.ggml.pre`: default, gpt-2, llama-bpe, smollm or qwen2.
  static result<pre_tokenizer> named(std::string_view name);

  /// The text to split, normalised as the model's author does it. REQUIRES: valid UTF-8.
  std::string normalised(std::string_view text) const;
  /// Appends the words of `text` to `words`, in order; joined they are `text`. They point into it.
  void split(std::string_view text, std::vector<std::string_view>& words) const;
  /// A word that is itself in the vocabulary is one token, whatever the merges say.
  bool prefers_whole_words() const { return prefers_whole_words_; }
  /// What an absent `tokenizer.ggml.add_bos_token` means.
  bool adds_bos_by_default() const { return adds_bos_by_default_; }

private:
  class pattern;
  pre_tokenizer() = default;
  /// Each stage splits every word of the one before into its matches and what lies between them.
  std::vector<std::shared_ptr<const pattern>> stages_;
  bool normalises_to_nfc_ = false;
  bool prefers_whole_words_ = false;
  bool adds_bos_by_default_ = false;
};

} // namespace souffleur
