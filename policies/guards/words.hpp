// A text as words, in the few ways that the guards look at them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace souffleur::guards {

struct word {
  std::string text;        ///< lower case, contractions written out, without 's of a possessive
  std::string stem;        ///< without the endings of plural, -ing, -ed; the same for forms of one word
  double number = 0;       ///< if is_number
  bool is_number = false;  ///< written with digits
  bool is_capital = false; ///< its first letter is upper case
  bool is_shouted = false; ///< has an upper-case letter after the first: NASA, iPhone, eBay
  bool is_initial = false; ///< first of its sentence
  char before = ' ';       ///< the byte right before and right after it; ' ' at the ends
  char after = ' ';
};

/// Words are runs of letters (any byte above 127 counts as one), of digits, or one of $ % and degree and
/// currency signs. Digits part from the letters that follow them: "10km" is two words. `text` is UTF-8 or
/// anything else.
std::vector<word> words_of(std::string_view text);

std::string stem_of(std::string_view lower_case_word);

/// ASCII and the accented Latin letters.
std::string lower_case(std::string_view text);

/// Says nothing of what a text is about: articles, pronouns, auxiliary verbs, prepositions, question words.
bool is_function_word(std::string_view lower_case_word);

} // namespace souffleur::guards
