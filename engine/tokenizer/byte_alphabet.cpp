#include "engine/tokenizer/byte_alphabet.hpp"

#include <array>

namespace souffleur {

namespace {

constexpr int n_characters = 0x144; ///< the alphabet ends at U+0143

bool is_printable_latin1(int code) {
  return (code >= 0x21 && code <= 0x7E) || (code >= 0xA1 && code <= 0xAC) || (code >= 0xAE && code <= 0xFF);
}

struct alphabet {
  std::array<int, 256> character_of_byte{};
  std::array<int, n_characters> byte_of_character{};

  alphabet() {
    byte_of_character.fill(-1);
    int next_substitute = 0x100;
    for (int byte = 0; byte < 256; ++byte) {
      const int character = is_printable_latin1(byte) ? byte : next_substitute++;
      character_of_byte[static_cast<std::size_t>(byte)] = character;
      byte_of_character[static_cast<std::size_t>(character)] = byte;
    }
  }
};

const alphabet& gpt2() {
  static const alphabet table;
  return table;
}

/// Byte spelled by the first character of `spelling`, which is then removed; -1 if it is not in the alphabet.
int take_byte(std::string_view& spelling) {
  const auto first = static_cast<std::uint8_t>(spelling[0]);
  if (first < 0x80) {
    spelling.remove_prefix(1);
    return gpt2().byte_of_character[first];
  }
  const bool has_two = first >= 0xC2 && first <= 0xC5 && spelling.size() >= 2 &&
                       (static_cast<std::uint8_t>(spelling[1]) & 0xC0) == 0x80;
  if (!has_two)
    return -1;
  const int character = (first & 0x1F) << 6 | (static_cast<std::uint8_t>(spelling[1]) & 0x3F);
  spelling.remove_prefix(2);
  return character < n_characters ? gpt2().byte_of_character[static_cast<std::size_t>(character)] : -1;
}

} // namespace

std::string spelling_of_byte(std::uint8_t byte) {
  const int character = gpt2().character_of_byte[byte];
  if (character < 0x80)
    return {static_cast<char>(character)};
  return {static_cast<char>(0xC0 | character >> 6), static_cast<char>(0x80 | (character & 0x3F))};
}

std::string bytes_of_spelling(std::string_view spelling) {
  std::string bytes;
  for (auto rest = spelling; !rest.empty();) {
    const int byte = take_byte(rest);
    if (byte < 0)
      return std::string{spelling};
    bytes += static_cast<char>(byte);
  }
  return bytes;
}

} // namespace souffleur
