#include "policies/hex.hpp"

#include <cctype>
#include <cstdint>

namespace souffleur {

namespace {

constexpr std::string_view hex_digits = "0123456789abcdef";

} // namespace

std::string to_hex(std::string_view bytes) {
  std::string hex;
  hex.reserve(2 * bytes.size());
  for (const char byte : bytes) {
    hex += hex_digits[static_cast<std::uint8_t>(byte) >> 4];
    hex += hex_digits[static_cast<std::uint8_t>(byte) & 15];
  }
  return hex;
}

std::optional<std::string> bytes_from_hex(std::string_view digits) {
  if (digits.size() % 2 != 0)
    return std::nullopt;
  std::string bytes(digits.size() / 2, '\0');
  for (std::size_t i = 0; i < digits.size(); ++i) {
    const auto value =
        hex_digits.find(static_cast<char>(std::tolower(static_cast<unsigned char>(digits[i]))));
    if (value == std::string_view::npos)
      return std::nullopt;
    bytes[i / 2] = static_cast<char>(static_cast<std::uint8_t>(bytes[i / 2]) << 4 | value);
  }
  return bytes;
}

} // namespace souffleur
