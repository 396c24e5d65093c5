// Code points of UTF-8 text, and their classes as Python's str has them.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace souffleur::jinja {

/// A byte that belongs to no well-formed sequence reads as U+DC00 + byte (Python's "surrogateescape") and is
/// written back as that byte, so any text survives a round trip.
struct code_point {
  char32_t value = 0;
  std::size_t n_bytes = 0;
};

/// REQUIRES: position < text.size().
code_point code_point_at(std::string_view text, std::size_t position);
void append_code_point(std::string& out, char32_t c);
bool is_valid_utf8(std::string_view text);

std::size_t count_code_points(std::string_view text);
std::u32string decode(std::string_view text);
std::string encode(std::u32string_view text);

bool is_space(char32_t c);
bool is_upper(char32_t c);
bool is_lower(char32_t c);
bool is_alpha(char32_t c);
bool is_digit(char32_t c);
/// What repr() shows as it is.
bool is_printable(char32_t c);

/// Case mapping of one code point to one, but for ß, whose upper case is SS.
std::string upper(std::string_view text);
std::string lower(std::string_view text);
/// First letter upper, the others lower.
std::string capitalize(std::string_view text);
/// Python's str.title: every run of letters capitalised.
std::string title(std::string_view text);

enum class side { left, right, both };
/// Without the code points of `characters` at its ends, or without white space if `characters` is null.
std::string_view strip(std::string_view text, side where, const std::string_view* characters = nullptr);

/// Offset of the first occurrence at or after `from`, npos if none. Time is linear in the text, whatever it
/// holds.
std::size_t find(std::string_view text, std::string_view needle, std::size_t from = 0);

/// Python's str.splitlines().
std::vector<std::string_view> split_lines(std::string_view text);

} // namespace souffleur::jinja
