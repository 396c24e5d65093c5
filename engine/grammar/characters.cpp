#include "engine/grammar/characters.hpp"

#include <algorithm>
#include <string_view>

namespace souffleur::grammar {

namespace {

constexpr char32_t first_surrogate = 0xD800;
constexpr char32_t last_surrogate = 0xDFFF;

struct encoding {
  std::array<std::uint8_t, 4> bytes{};
  int size = 0;
};

encoding encoded(char32_t c) {
  const auto low = [&](int shift) { return static_cast<std::uint8_t>(0x80 | (c >> shift & 0x3F)); };
  if (c < 0x80)
    return {{static_cast<std::uint8_t>(c)}, 1};
  if (c < 0x800)
    return {{static_cast<std::uint8_t>(0xC0 | c >> 6), low(0)}, 2};
  if (c < 0x10000)
    return {{static_cast<std::uint8_t>(0xE0 | c >> 12), low(6), low(0)}, 3};
  return {{static_cast<std::uint8_t>(0xF0 | c >> 18), low(12), low(6), low(0)}, 4};
}

/// REQUIRES: encodings of one size. Split where a prefix is shared or left, so that in each part every byte
/// varies on its own.
void add_ranges(char32_t first, char32_t last, std::vector<byte_ranges>& made) {
  const int n_continuations = encoded(first).size - 1;
  for (int i = 1; i <= n_continuations; ++i) {
    const auto mask = (char32_t{1} << (6 * i)) - 1;
    if ((first & ~mask) == (last & ~mask))
      continue;
    if ((first & mask) != 0) {
      add_ranges(first, first | mask, made);
      return add_ranges((first | mask) + 1, last, made);
    }
    if ((last & mask) != mask) {
      add_ranges(first, (last & ~mask) - 1, made);
      return add_ranges(last & ~mask, last, made);
    }
  }
  const auto from = encoded(first);
  const auto to = encoded(last);
  byte_ranges ranges;
  ranges.size = from.size;
  for (int i = 0; i < from.size; ++i)
    ranges.at[static_cast<std::size_t>(i)] = {from.bytes[static_cast<std::size_t>(i)],
                                              to.bytes[static_cast<std::size_t>(i)]};
  made.push_back(ranges);
}

} // namespace

character_set& character_set::add(char32_t first, char32_t last) {
  if (first < first_surrogate && last > last_surrogate) {
    add(first, first_surrogate - 1);
    return add(last_surrogate + 1, last);
  }
  if (first >= first_surrogate && first <= last_surrogate)
    first = last_surrogate + 1;
  if (last >= first_surrogate && last <= last_surrogate)
    last = first_surrogate - 1;
  if (first > last)
    return *this;
  const auto touches = [&](const range& other) { return other.first <= last + 1 && first <= other.last + 1; };
  for (const auto& other : ranges_)
    if (touches(other)) {
      first = std::min(first, other.first);
      last = std::max(last, other.last);
    }
  std::erase_if(ranges_, [&](const range& other) { return other.first >= first && other.last <= last; });
  const auto after = std::ranges::find_if(ranges_, [&](const range& other) { return other.first > first; });
  ranges_.insert(after, {first, last});
  return *this;
}

character_set& character_set::add(const character_set& others) {
  for (const auto& [first, last] : others.ranges())
    add(first, last);
  return *this;
}

character_set character_set::complement() const {
  character_set made;
  char32_t next = 0;
  for (const auto& [first, last] : ranges_) {
    if (first > next)
      made.add(next, first - 1);
    next = last + 1;
  }
  return next <= last_character ? made.add(next, last_character) : made;
}

character_set character_set::intersection(const character_set& others) const {
  character_set made;
  for (const auto& a : ranges_)
    for (const auto& b : others.ranges_)
      if (const auto first = std::max(a.first, b.first), last = std::min(a.last, b.last); first <= last)
        made.add(first, last);
  return made;
}

bool character_set::contains(char32_t character) const {
  return std::ranges::any_of(
      ranges_, [&](const range& one) { return one.first <= character && character <= one.last; });
}

std::vector<byte_ranges> utf8_ranges(char32_t first, char32_t last) {
  std::vector<byte_ranges> made;
  for (const char32_t most : {char32_t{0x7F}, char32_t{0x7FF}, char32_t{0xFFFF}, last_character}) {
    if (first > most)
      continue;
    add_ranges(first, std::min(last, most), made);
    if (last <= most)
      break;
    first = most + 1;
  }
  return made;
}

std::string utf8_of(char32_t character) {
  const auto made = encoded(character);
  return {reinterpret_cast<const char*>(made.bytes.data()), static_cast<std::size_t>(made.size)};
}

std::u32string characters_of(std::string_view text) {
  std::u32string characters;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80)
      characters += byte;
    else if (byte >= 0xC0)
      characters += static_cast<char32_t>(byte & (byte >= 0xF0 ? 0x07 : byte >= 0xE0 ? 0x0F : 0x1F));
    else if (!characters.empty())
      characters.back() = characters.back() << 6 | (byte & 0x3F);
  }
  return characters;
}

} // namespace souffleur::grammar
