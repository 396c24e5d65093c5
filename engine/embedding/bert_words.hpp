// Cuts text into the words that BERT's uncased vocabularies have pieces of.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace souffleur {

/// A word with more characters is unknown, whatever its pieces.
inline constexpr int max_word_characters = 100;

struct bert_word {
  std::string text;     ///< in lower case and decomposed, without accents; cut off if it is too long
  int n_characters = 0; ///< max_word_characters + 1: it is too long
};

/// Takes text character by character and makes words of it as BERT's basic tokenizer does: control characters
/// go; spaces end a word; CJK ideographs and punctuation are words; the rest is decomposed (NFD), loses its
/// nonspacing marks and goes to lower case. Marks are left in the order of the text: nonspacing ones are
/// gone, and of the others no vocabulary has pieces.
class bert_word_splitter {
public:
  void add(std::int32_t character);
  /// The word that is under way ends here.
  void end_word();
  /// The words that have ended since the last call.
  std::vector<bert_word> take() { return std::exchange(words_, {}); }

private:
  void add_decomposed(std::int32_t character);

  bert_word word_;
  std::vector<bert_word> words_;
};

} // namespace souffleur
