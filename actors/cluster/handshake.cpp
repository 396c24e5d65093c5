#include "actors/cluster/handshake.hpp"

#include "policies/blake2b.hpp"
#include "policies/key_digest.hpp"

#include <array>
#include <random>

namespace souffleur {

std::string make_nonce() {
  std::random_device device;
  std::string nonce;
  for (int i = 0; i < 8; ++i) {
    const auto word = device();
    nonce.append(reinterpret_cast<const char*>(&word), 4);
  }
  return nonce;
}

std::string make_proof(std::string_view secret, node_side side, std::string_view caller_nonce,
                       std::string_view called_nonce) {
  constexpr std::string_view names[] = {"router", "worker", "drafter", "server"};
  key_encoder said; // nothing that is added can pass for what is added next
  said.add(std::string_view{"souffleur cluster"});
  said.add(names[static_cast<std::size_t>(side)]);
  said.add(caller_nonce);
  said.add(called_nonce);
  // A key of BLAKE2b has 64 bytes at most; a secret may be longer.
  std::array<std::uint8_t, 64> key{};
  blake2b(secret, key);
  std::array<std::uint8_t, 32> proof{};
  keyed_blake2b(key, said.bytes(), proof);
  return {proof.begin(), proof.end()};
}

bool is_same_proof(std::string_view a, std::string_view b) {
  unsigned difference = a.size() == b.size() ? 0U : 1U;
  for (std::size_t i = 0; i < a.size() && i < b.size(); ++i)
    difference |= static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b[i]);
  return difference == 0;
}

} // namespace souffleur
