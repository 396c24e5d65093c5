// Text to the word pieces of BERT's uncased vocabularies.
#pragma once

#include "engine/result.hpp"
#include "policies/token.hpp"

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace souffleur {

struct wordpieces {
  std::vector<token_id> ids; ///< [CLS], the text's, [SEP]
  bool is_truncated = false; ///< the text has more
};

/// BERT's tokenizer with lower-casing: control characters go, spaces and punctuation separate words, CJK
/// ideographs are words, accents are stripped; a word is cut into the longest pieces from its beginning, or
/// is [UNK]. Special tokens that are spelled out in the text become their ids. The same ids as Hugging Face's
/// `tokenizers`. Source: Devlin et al. 2018; Wu et al. 2016.
/// Immutable; safe to share between threads.
class wordpiece_tokenizer {
public:
  /// `vocabulary` has a piece a line (vocab.txt); those that continue a word begin with "##".
  static result<std::shared_ptr<const wordpiece_tokenizer>> from_vocabulary(std::string_view vocabulary);

  /// At most `max_ids` ids; reads no more of the text than it takes for that. Invalid UTF-8 is U+FFFD, which
  /// is left out. REQUIRES: max_ids ≥ 2.
  wordpieces encode(std::string_view text, std::size_t max_ids) const;

  int vocabulary_size() const { return n_pieces_; }

private:
  struct text_hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  using piece_table = std::unordered_map<std::string, token_id, text_hash, std::equal_to<>>;
  struct special_token {
    std::string text;
    token_id id = 0;
  };

  wordpiece_tokenizer() = default;
  void append_word(std::string_view word, std::vector<token_id>& ids) const;
  const special_token* special_at(std::string_view text) const;

  piece_table beginnings_;    ///< pieces that begin a word
  piece_table continuations_; ///< the others, without "##"
  std::size_t longest_piece_bytes_ = 0;
  std::vector<special_token> special_;
  token_id cls_ = 0;
  token_id sep_ = 0;
  token_id unknown_ = 0;
  int n_pieces_ = 0;
};

} // namespace souffleur
