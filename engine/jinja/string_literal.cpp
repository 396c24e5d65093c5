#include "engine/jinja/string_literal.hpp"

#include "engine/jinja/concat.hpp"
#include "engine/jinja/unicode.hpp"

#include <algorithm>
#include <charconv>

namespace souffleur::jinja {
namespace {

/// Number of hexadecimal digits that the escape letter asks for; 0 if it is no such letter.
std::size_t hex_digits_of(char letter) {
  return letter == 'x' ? 2 : letter == 'u' ? 4 : letter == 'U' ? 8 : 0;
}

bool read_number(std::string_view digits, int base, std::uint32_t& out) {
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), out, base);
  return error == std::errc() && end == digits.data() + digits.size();
}

std::size_t n_octal_digits(std::string_view text) {
  const auto end = text.substr(0, 3).find_first_not_of("01234567");
  return end == std::string_view::npos ? std::min<std::size_t>(3, text.size()) : end;
}

/// Reads the numeric escape at the start of `text` (after the backslash); its size, 0 on failure.
std::size_t append_numeric(std::string& out, std::string_view text) {
  const std::size_t n_hex = hex_digits_of(text[0]);
  const std::size_t n_digits = n_hex > 0 ? n_hex : n_octal_digits(text);
  const std::size_t n_letters = n_hex > 0 ? 1 : 0;
  std::uint32_t c = 0;
  if (text.size() < n_letters + n_digits ||
      !read_number(text.substr(n_letters, n_digits), n_hex > 0 ? 16 : 8, c) || c > 0x10FFFF ||
      (c >= 0xD800 && c <= 0xDFFF)) {
    return 0;
  }
  append_code_point(out, c);
  return n_letters + n_digits;
}

} // namespace

result<std::string> unescape(std::string_view inside) {
  constexpr std::string_view simple = "n\nt\tr\r\\\\''\"\"a\ab\bf\fv\v";
  std::string out;
  for (std::size_t i = 0; i < inside.size();) {
    if (inside[i] != '\\' || i + 1 == inside.size()) {
      out += inside[i++];
      continue;
    }
    const char letter = inside[++i];
    if (letter == 'N') {
      return failure{"\\N escapes are not supported"};
    }
    if (hex_digits_of(letter) > 0 || n_octal_digits(inside.substr(i)) > 0) {
      const std::size_t n = append_numeric(out, inside.substr(i));
      if (n == 0) {
        return failure{concat("a string has a bad \\", std::string(1, letter), " escape")};
      }
      i += n;
      continue;
    }
    ++i;
    std::size_t at = 0;
    while (at < simple.size() && simple[at] != letter) {
      at += 2;
    }
    if (at < simple.size()) {
      out += simple[at + 1];
    } else if (letter != '\n') {
      out += '\\';
      out += letter;
    }
  }
  return out;
}

} // namespace souffleur::jinja
