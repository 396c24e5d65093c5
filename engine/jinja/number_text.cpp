#include "engine/jinja/number_text.hpp"

#include "engine/jinja/concat.hpp"
#include "engine/jinja/unicode.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <string>

namespace souffleur::jinja {
namespace {

struct signed_text {
  bool negative = false;
  std::string digits; ///< without the underscores
};

/// Takes the sign and the underscores out; nothing if an underscore stands elsewhere than between two digits.
std::optional<signed_text> take_sign(std::string_view text) {
  text = strip(text, side::both);
  signed_text out;
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) {
    out.negative = text[0] == '-';
    text.remove_prefix(1);
  }
  const auto is_plain = [&](std::size_t i) { return i < text.size() && text[i] != '_'; };
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') {
      out.digits += text[i];
    } else if (i == 0 || !is_plain(i - 1) || !is_plain(i + 1)) {
      return std::nullopt;
    }
  }
  return out.digits.empty() ? std::nullopt : std::optional(out);
}

std::string_view without_prefix(std::string_view digits, std::int64_t base) {
  const char letter = base == 16 ? 'x' : base == 8 ? 'o' : base == 2 ? 'b' : '\0';
  const bool prefixed =
      digits.size() > 2 && digits[0] == '0' && letter != '\0' && (digits[1] | 0x20) == letter;
  return prefixed ? digits.substr(2) : digits;
}

} // namespace

std::optional<std::int64_t> parse_integer(std::string_view text, std::int64_t base) {
  const auto parts = take_sign(text);
  if (!parts || base < 2 || base > 36) {
    return std::nullopt;
  }
  const std::string digits = concat(parts->negative ? "-" : "", without_prefix(parts->digits, base));
  if (digits.find_first_of("+-", parts->negative ? 1 : 0) != std::string::npos) {
    return std::nullopt;
  }
  std::int64_t number = 0;
  const char* end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, number, static_cast<int>(base));
  return error == std::errc() && stop == end ? std::optional(number) : std::nullopt;
}

std::optional<double> parse_real(std::string_view text) {
  const auto parts = take_sign(text);
  if (!parts || parts->digits[0] == '-' || parts->digits[0] == '+' ||
      parts->digits.find('(') != std::string::npos) {
    return std::nullopt;
  }
  double number = 0;
  const char* begin = parts->digits.data();
  const char* end = begin + parts->digits.size();
  const auto [stop, error] = std::from_chars(begin, end, number);
  if (error == std::errc::result_out_of_range) {
    number = std::strtod(begin, nullptr);
  } else if (error != std::errc()) {
    return std::nullopt;
  }
  return stop == end ? std::optional(parts->negative ? -number : number) : std::nullopt;
}

double round_half_even(double d, std::int64_t precision) {
  if (!std::isfinite(d) || precision > 300) {
    return d;
  }
  if (precision < 0) {
    if (precision < -300) {
      return std::copysign(0.0, d);
    }
    const double scale = std::pow(10.0, static_cast<double>(-precision));
    return std::nearbyint(d / scale) * scale;
  }
  // printf rounds the exact value, halves to even.
  char text[700];
  std::snprintf(text, sizeof text, "%.*f", static_cast<int>(precision), d);
  return std::strtod(text, nullptr);
}

} // namespace souffleur::jinja
