#include "engine/grammar/text_reader.hpp"

#include "engine/grammar/characters.hpp"

#include <algorithm>

namespace souffleur::grammar {

namespace {

int digit_of(char32_t c) {
  if (c >= U'0' && c <= U'9')
    return static_cast<int>(c - U'0');
  if (c >= U'a' && c <= U'f')
    return static_cast<int>(c - U'a') + 10;
  return c >= U'A' && c <= U'F' ? static_cast<int>(c - U'A') + 10 : -1;
}

} // namespace

text_reader::text_reader(std::string_view text) : characters_(characters_of(text)) {}

char32_t text_reader::next() {
  if (!at_end())
    return characters_[at_++];
  complain("ends too early");
  return U'\uFFFD';
}

bool text_reader::take(char32_t c) {
  const bool is_next = next_is(c);
  at_ += is_next ? 1 : 0;
  return is_next;
}

bool text_reader::take(std::u32string_view word) {
  const bool is_next =
      std::u32string_view{characters_}.substr(std::min(at_, characters_.size())).starts_with(word);
  at_ += is_next ? word.size() : 0;
  return is_next;
}

std::optional<int> text_reader::number(int most) {
  std::optional<int> value;
  while (!at_end() && characters_[at_] >= U'0' && characters_[at_] <= U'9') {
    value = value.value_or(0) * 10 + digit_of(next());
    if (*value > most)
      return std::nullopt;
  }
  return value;
}

char32_t text_reader::hexadecimal(int n_digits) {
  char32_t value = 0;
  for (int i = 0; i < n_digits; ++i) {
    const int digit = digit_of(next());
    if (digit < 0)
      complain("has an escape that needs " + std::to_string(n_digits) + " hexadecimal digits");
    value = value << 4 | static_cast<char32_t>(digit & 15);
  }
  if (value > last_character || (value >= 0xD800 && value <= 0xDFFF)) {
    complain("has an escape that is no character");
    return U'\uFFFD';
  }
  return value;
}

char32_t text_reader::hexadecimal_until(char32_t end) {
  int n_digits = 0;
  while (n_digits < 6 && !next_is(end, static_cast<std::size_t>(n_digits)))
    ++n_digits;
  const auto value = hexadecimal(n_digits);
  if (n_digits == 0 || !take(end))
    complain("has an escape without its end");
  return value;
}

void text_reader::complain(std::string what) {
  if (failed_)
    return;
  failed_ = true;
  why_ = std::move(what) + " (at character " + std::to_string(at_) + ")";
}

} // namespace souffleur::grammar
