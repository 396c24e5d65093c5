#include "engine/jinja/unicode.hpp"

#include <utf8proc.h>

#include <algorithm>
#include <cstring>

namespace souffleur::jinja {
namespace {

constexpr char32_t escaped_byte = 0xDC00;

utf8proc_category_t category(char32_t c) { return utf8proc_category(static_cast<utf8proc_int32_t>(c)); }

char32_t to_upper(char32_t c) {
  return static_cast<char32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(c)));
}
char32_t to_lower(char32_t c) {
  return static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c)));
}

void append_upper(std::string& out, char32_t c) {
  if (c == U'ß') {
    out += "SS";
  } else {
    append_code_point(out, to_upper(c));
  }
}

/// Capitalises the letters that follow no letter; only the very first character if `first_only`.
std::string capitalize_words(std::string_view text, bool first_only) {
  std::string out;
  bool inside = false;
  for (std::size_t i = 0; i < text.size();) {
    const auto [c, n_bytes] = code_point_at(text, i);
    if (inside) {
      append_code_point(out, to_lower(c));
    } else {
      append_code_point(out, c == U'ß' ? U'S' : to_upper(c));
      out += c == U'ß' ? "s" : "";
    }
    inside = first_only || is_upper(c) || is_lower(c);
    i += n_bytes;
  }
  return out;
}

bool is_line_end(char32_t c) {
  return (c >= '\n' && c <= '\r') || (c >= 0x1c && c <= 0x1e) || c == 0x85 || c == 0x2028 || c == 0x2029;
}

std::size_t start_of_last(std::string_view text) {
  std::size_t i = text.size() - 1;
  while (i > 0 && text.size() - i < 4 && (static_cast<unsigned char>(text[i]) & 0xC0) == 0x80) {
    --i;
  }
  return i + code_point_at(text, i).n_bytes == text.size() ? i : text.size() - 1;
}

} // namespace

code_point code_point_at(std::string_view text, std::size_t position) {
  const auto first = static_cast<unsigned char>(text[position]);
  if (first < 0x80) {
    return {first, 1};
  }
  utf8proc_int32_t c = -1;
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data() + position);
  const auto n_bytes = utf8proc_iterate(bytes, static_cast<utf8proc_ssize_t>(text.size() - position), &c);
  return n_bytes > 0 ? code_point{static_cast<char32_t>(c), static_cast<std::size_t>(n_bytes)}
                     : code_point{escaped_byte + first, 1};
}

void append_code_point(std::string& out, char32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c >= escaped_byte + 0x80 && c <= escaped_byte + 0xFF) {
    out += static_cast<char>(c - escaped_byte);
  } else {
    utf8proc_uint8_t bytes[4];
    const auto n = utf8proc_encode_char(static_cast<utf8proc_int32_t>(c), bytes);
    out.append(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(n));
  }
}

bool is_valid_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto [c, n_bytes] = code_point_at(text, i);
    if (c >= escaped_byte + 0x80 && c <= escaped_byte + 0xFF) {
      return false;
    }
    i += n_bytes;
  }
  return true;
}

std::size_t count_code_points(std::string_view text) {
  std::size_t n = 0;
  for (std::size_t i = 0; i < text.size(); ++n) {
    i += code_point_at(text, i).n_bytes;
  }
  return n;
}

std::u32string decode(std::string_view text) {
  std::u32string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const auto [c, n_bytes] = code_point_at(text, i);
    out += c;
    i += n_bytes;
  }
  return out;
}

std::string encode(std::u32string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char32_t c : text) {
    append_code_point(out, c);
  }
  return out;
}

bool is_space(char32_t c) {
  return (c >= '\t' && c <= '\r') || (c >= 0x1c && c <= ' ') || c == 0x85 || c == 0xa0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f ||
         c == 0x3000;
}

bool is_upper(char32_t c) {
  return category(c) == UTF8PROC_CATEGORY_LU || category(c) == UTF8PROC_CATEGORY_LT;
}
bool is_lower(char32_t c) { return category(c) == UTF8PROC_CATEGORY_LL; }
bool is_alpha(char32_t c) {
  const auto k = category(c);
  return k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_LO;
}
bool is_digit(char32_t c) { return category(c) == UTF8PROC_CATEGORY_ND; }

bool is_printable(char32_t c) {
  switch (category(c)) {
  case UTF8PROC_CATEGORY_CN:
  case UTF8PROC_CATEGORY_CC:
  case UTF8PROC_CATEGORY_CF:
  case UTF8PROC_CATEGORY_CS:
  case UTF8PROC_CATEGORY_CO:
  case UTF8PROC_CATEGORY_ZL:
  case UTF8PROC_CATEGORY_ZP:
    return false;
  case UTF8PROC_CATEGORY_ZS:
    return c == ' ';
  default:
    return true;
  }
}

std::string upper(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const auto [c, n_bytes] = code_point_at(text, i);
    append_upper(out, c);
    i += n_bytes;
  }
  return out;
}

std::string lower(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const auto [c, n_bytes] = code_point_at(text, i);
    append_code_point(out, to_lower(c));
    i += n_bytes;
  }
  return out;
}

std::string capitalize(std::string_view text) { return capitalize_words(text, true); }
std::string title(std::string_view text) { return capitalize_words(text, false); }

std::string_view strip(std::string_view text, side where, const std::string_view* characters) {
  std::u32string set = characters != nullptr ? decode(*characters) : std::u32string();
  std::sort(set.begin(), set.end());
  const auto goes = [&](char32_t c) {
    return characters != nullptr ? std::binary_search(set.begin(), set.end(), c) : is_space(c);
  };
  while (where != side::right && !text.empty()) {
    const auto [c, n_bytes] = code_point_at(text, 0);
    if (!goes(c)) {
      break;
    }
    text.remove_prefix(n_bytes);
  }
  while (where != side::left && !text.empty()) {
    const std::size_t last = start_of_last(text);
    if (!goes(code_point_at(text, last).value)) {
      break;
    }
    text = text.substr(0, last);
  }
  return text;
}

std::size_t find(std::string_view text, std::string_view needle, std::size_t from) {
  if (from > text.size()) {
    return std::string_view::npos;
  }
  if (needle.empty()) {
    return from;
  }
  // Not string_view::find, which takes quadratic time on repetitive text.
  const void* hit = ::memmem(text.data() + from, text.size() - from, needle.data(), needle.size());
  return hit == nullptr ? std::string_view::npos
                        : static_cast<std::size_t>(static_cast<const char*>(hit) - text.data());
}

std::vector<std::string_view> split_lines(std::string_view text) {
  std::vector<std::string_view> lines;
  std::size_t start = 0;
  for (std::size_t i = 0; i < text.size();) {
    const auto [c, n_bytes] = code_point_at(text, i);
    const std::size_t end = i;
    i += n_bytes;
    if (is_line_end(c)) {
      i += c == '\r' && i < text.size() && text[i] == '\n' ? 1 : 0;
      lines.push_back(text.substr(start, end - start));
      start = i;
    }
  }
  if (start < text.size()) {
    lines.push_back(text.substr(start));
  }
  return lines;
}

} // namespace souffleur::jinja
