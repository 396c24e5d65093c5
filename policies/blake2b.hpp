// The hash that names are made of.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace souffleur {

/// Fills `hash` (16 to 64 bytes) with BLAKE2b (RFC 7693) of that size: clients choose what is hashed, so
/// nobody may be able to choose a hash.
void blake2b(std::string_view bytes, std::span<std::uint8_t> hash);
/// Likewise with a key (16 to 64 bytes): who does not know it can neither make the hash nor test a guess of
/// `bytes`.
void keyed_blake2b(std::span<const std::uint8_t> key, std::string_view bytes, std::span<std::uint8_t> hash);

} // namespace souffleur
