// Sets of Unicode scalar values, and their UTF-8.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace souffleur::grammar {

inline constexpr char32_t last_character = 0x10FFFF;

/// Surrogates are no characters: they are never in a set.
class character_set {
public:
  struct range {
    char32_t first = 0;
    char32_t last = 0;
    bool operator==(const range&) const = default;
  };

  static character_set all() { return character_set{}.add(0, last_character); }

  character_set() = default;
  /// REQUIRES: first ≤ last ≤ last_character.
  character_set& add(char32_t first, char32_t last);
  character_set& add(const character_set& others);
  character_set complement() const;
  character_set intersection(const character_set& others) const;
  bool contains(char32_t character) const;
  bool empty() const { return ranges_.empty(); }
  /// Ascending, none touches the next.
  std::span<const range> ranges() const { return ranges_; }

private:
  std::vector<range> ranges_;
};

/// Ranges of bytes, one for each byte of an encoding.
struct byte_ranges {
  struct range {
    std::uint8_t first = 0;
    std::uint8_t last = 0;
  };
  std::array<range, 4> at{};
  int size = 0;
};

/// The encodings of the characters from `first` to `last`. REQUIRES: no surrogate among them.
std::vector<byte_ranges> utf8_ranges(char32_t first, char32_t last);

std::string utf8_of(char32_t character);

/// The characters of valid UTF-8.
std::u32string characters_of(std::string_view text);

} // namespace souffleur::grammar
