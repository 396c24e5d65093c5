#include "policies/key_digest.hpp"

#include "policies/blake2b.hpp"
#include "policies/hex.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace souffleur {

std::string to_hex(const key_digest& digest) {
  return to_hex(std::string_view{reinterpret_cast<const char*>(digest.bytes.data()), digest.bytes.size()});
}

std::optional<key_digest> digest_from_hex(std::string_view digits) {
  const auto bytes = bytes_from_hex(digits);
  key_digest digest;
  if (!bytes || bytes->size() != digest.bytes.size())
    return std::nullopt;
  std::copy(bytes->begin(), bytes->end(), digest.bytes.begin());
  return digest;
}

void key_encoder::put(char kind, std::uint64_t bits) {
  bytes_ += kind;
  for (int i = 0; i < 8; ++i)
    bytes_ += static_cast<char>(bits >> (8 * i) & 0xff);
}

void key_encoder::add(std::string_view text) {
  put('s', text.size());
  bytes_ += text;
}

void key_encoder::add(std::int64_t number) { put('i', static_cast<std::uint64_t>(number)); }

void key_encoder::add(double number) {
  if (number == 0)
    number = 0; // -0.0 equals 0.0 and has other bits
  if (std::isnan(number))
    number = std::numeric_limits<double>::quiet_NaN();
  put('d', std::bit_cast<std::uint64_t>(number));
}

void key_encoder::add(const key_digest& digest) {
  add(std::string_view{reinterpret_cast<const char*>(digest.bytes.data()), digest.bytes.size()});
}

void key_encoder::begin_list(std::size_t n_items) { put('l', n_items); }

key_digest key_encoder::digest() const {
  key_digest made;
  blake2b(bytes_, made.bytes);
  return made;
}

} // namespace souffleur
