#include "policies/blake2b.hpp"

#include <sodium.h>

namespace souffleur {

void blake2b(std::string_view bytes, std::span<std::uint8_t> hash) { keyed_blake2b({}, bytes, hash); }

void keyed_blake2b(std::span<const std::uint8_t> key, std::string_view bytes, std::span<std::uint8_t> hash) {
  [[maybe_unused]] static const auto ready = sodium_init(); // chooses the fastest of its implementations
  crypto_generichash(hash.data(), hash.size(), reinterpret_cast<const unsigned char*>(bytes.data()),
                     bytes.size(), key.empty() ? nullptr : key.data(), key.size());
}

} // namespace souffleur
