#include "net/random_hex.hpp"

#include <cstdint>
#include <string_view>
#include <sys/random.h>
#include <system_error>
#include <vector>

namespace souffleur {

std::string random_hex(std::size_t n_bytes) {
  std::vector<std::uint8_t> bytes(n_bytes);
  if (::getentropy(bytes.data(), bytes.size()) != 0)
    throw std::system_error{errno, std::generic_category(), "getentropy"};
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  for (const auto byte : bytes) {
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

} // namespace souffleur
