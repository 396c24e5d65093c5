#include "engine/tokenizer/utf8.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <utf8proc.h>

namespace souffleur {

namespace {

struct byte_range {
  std::uint8_t low = 0x80;
  std::uint8_t high = 0xBF;
  bool contains(char c) const {
    const auto byte = static_cast<std::uint8_t>(c);
    return low <= byte && byte <= high;
  }
};

/// What a lead byte asks for: how long the character is, and the narrowed range of its second byte.
struct lead {
  std::size_t n_bytes = 0; ///< 0: no character begins so
  byte_range second;
};

lead lead_of(std::uint8_t byte) {
  if (byte < 0x80)
    return {1, {}};
  if (byte < 0xC2)
    return {0, {}};
  if (byte < 0xE0)
    return {2, {}};
  if (byte < 0xF0)
    return {3,
            {byte == 0xE0 ? std::uint8_t{0xA0} : std::uint8_t{0x80},
             byte == 0xED ? std::uint8_t{0x9F} : std::uint8_t{0xBF}}};
  if (byte < 0xF5)
    return {4,
            {byte == 0xF0 ? std::uint8_t{0x90} : std::uint8_t{0x80},
             byte == 0xF4 ? std::uint8_t{0x8F} : std::uint8_t{0xBF}}};
  return {0, {}};
}

struct free_memory {
  void operator()(utf8proc_uint8_t* memory) const { std::free(memory); }
};

} // namespace

utf8_part first_utf8_part(std::string_view bytes) {
  const auto [n_bytes, second] = lead_of(static_cast<std::uint8_t>(bytes[0]));
  if (n_bytes == 0)
    return {utf8_state::invalid, 1};
  for (std::size_t i = 1; i < n_bytes; ++i) {
    if (i == bytes.size())
      return {utf8_state::incomplete, i};
    if (!(i == 1 ? second : byte_range{}).contains(bytes[i]))
      return {utf8_state::invalid, i};
  }
  return {utf8_state::complete, n_bytes};
}

std::string repaired_utf8(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  while (!bytes.empty()) {
    const auto part = first_utf8_part(bytes);
    text += part.state == utf8_state::complete ? bytes.substr(0, part.n_bytes) : replacement_character;
    bytes.remove_prefix(part.n_bytes);
  }
  return text;
}

bool is_valid_utf8(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto part = first_utf8_part(bytes);
    if (part.state != utf8_state::complete)
      return false;
    bytes.remove_prefix(part.n_bytes);
  }
  return true;
}

std::string nfc(std::string_view text) {
  // Every character below U+0300 (first byte 0xCC) is its own normal form and combines with nothing before
  // it.
  const auto is_simple = [](char c) { return static_cast<std::uint8_t>(c) < 0xCC; };
  if (std::all_of(text.begin(), text.end(), is_simple))
    return std::string{text};
  utf8proc_uint8_t* normal = nullptr;
  const auto n_bytes = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                    static_cast<utf8proc_ssize_t>(text.size()), &normal,
                                    static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  const std::unique_ptr<utf8proc_uint8_t, free_memory> owned{normal};
  if (n_bytes < 0) // out of memory, or more than 2^29 characters: the text as it is remains a valid input
    return std::string{text};
  return {reinterpret_cast<const char*>(normal), static_cast<std::size_t>(n_bytes)};
}

} // namespace souffleur
