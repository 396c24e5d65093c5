// Names that cover what they were made from: an unambiguous encoding, and a hash of it.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

namespace souffleur {

/// 256 bits of BLAKE2b (RFC 7693): clients choose the texts, so nobody may be able to choose a name. The same
/// on every machine, so it may be shared.
struct key_digest {
  std::array<std::uint8_t, 32> bytes{};
  // NOLINTNEXTLINE(modernize-use-nullptr): it takes the 0 in the default for a null pointer.
  auto operator<=>(const key_digest&) const = default;
};

struct key_digest_hash {
  std::size_t operator()(const key_digest& digest) const {
    std::size_t hash = 0;
    std::memcpy(&hash, digest.bytes.data(), sizeof hash);
    return hash;
  }
};

/// 64 lower-case hexadecimal digits.
std::string to_hex(const key_digest& digest);
std::optional<key_digest> digest_from_hex(std::string_view digits);

/// Writes values one after the other so that different sequences of calls give different bytes, and none is
/// the beginning of another that has the same first calls but more of them (close with `digest`): each value
/// has its kind and, where that leaves it open, its length before it. Numbers are little-endian.
class key_encoder {
public:
  void add(std::string_view text);
  void add(std::int64_t number);
  /// Every zero is the same, and so is every NaN.
  void add(double number);
  void add(const key_digest& digest);
  /// Comes before the items of a list, so that no item can pass for the next value.
  void begin_list(std::size_t n_items);

  const std::string& bytes() const { return bytes_; }
  key_digest digest() const;

private:
  void put(char kind, std::uint64_t bits);

  std::string bytes_;
};

} // namespace souffleur
