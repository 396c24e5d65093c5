// A text that is read character by character, with the first complaint about it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace souffleur::grammar {

/// Reading at the end gives U+FFFD and complains.
class text_reader {
public:
  /// `text` is valid UTF-8.
  explicit text_reader(std::string_view text);

  bool at_end() const { return at_ >= characters_.size(); }
  bool next_is(char32_t c, std::size_t ahead = 0) const {
    return at_ + ahead < characters_.size() && characters_[at_ + ahead] == c;
  }
  /// REQUIRES: !at_end().
  char32_t peek() const { return characters_[at_]; }
  char32_t next();
  void skip() { ++at_; }
  /// Goes past `c` if it is next.
  bool take(char32_t c);
  bool take(std::u32string_view word);
  /// Digits; nothing without any, or beyond `most`.
  std::optional<int> number(int most);
  /// So many hexadecimal digits, as a character.
  char32_t hexadecimal(int n_digits);
  char32_t hexadecimal_until(char32_t end);

  void complain(std::string what);
  bool failed() const { return failed_; }
  /// With the place, in characters.
  const std::string& why() const { return why_; }

private:
  std::u32string characters_;
  std::size_t at_ = 0;
  bool failed_ = false;
  std::string why_;
};

} // namespace souffleur::grammar
