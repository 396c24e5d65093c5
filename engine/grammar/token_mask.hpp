// A set of tokens.
#pragma once

#include "policies/token.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace souffleur::grammar {

/// Token `t` is allowed if bit t % 64 of word t / 64 is set.
using token_mask = std::vector<std::uint64_t>;

inline bool allows(const token_mask& mask, token_id token) {
  const auto bit = static_cast<std::size_t>(token);
  return token >= 0 && bit / 64 < mask.size() && (mask[bit / 64] >> (bit % 64) & 1) != 0;
}

inline void allow(token_mask& mask, token_id token) {
  mask[static_cast<std::size_t>(token) / 64] |= std::uint64_t{1} << (static_cast<std::size_t>(token) % 64);
}

using token_mask_ptr = std::shared_ptr<const token_mask>;

} // namespace souffleur::grammar
