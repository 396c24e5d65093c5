// Numbers from text, and rounding, as Python does them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace souffleur::jinja {

/// int(text, base): white space around, a sign, a prefix that fits the base, underscores between digits.
/// Nothing if it is no number, or one beyond 64 bits.
std::optional<std::int64_t> parse_integer(std::string_view text, std::int64_t base);
/// float(text).
std::optional<double> parse_real(std::string_view text);
/// round(d, precision): of the exact binary value, halves to even.
double round_half_even(double d, std::int64_t precision);

} // namespace souffleur::jinja
