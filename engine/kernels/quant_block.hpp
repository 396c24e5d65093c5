// GGUF's quantised blocks taken apart into what they store.
#pragma once

#include "engine/gguf.hpp"

#include <array>
#include <cstdint>

namespace souffleur {

/// 32 weights of one row: w[i] = scale * (q[i] - zero) + min, with the zero of packed_format_of(type). Where
/// the format has super scales, scale = half(super_scale) * scales[i / 16] and min = half(super_min) *
/// mins[i / 16]; else scales and mins are the bits of halves. Formats with one scale repeat it.
struct quant_block {
  std::array<std::uint8_t, 32> q{};
  std::array<std::uint16_t, 2> scales{}; ///< int8 in the low byte where there is a super scale
  std::array<std::uint16_t, 2> mins{};
  std::uint16_t super_scale = 0;
  std::uint16_t super_min = 0;
};

/// The `index`th 32 values of the GGUF block at `p`. REQUIRES: a quantised type.
quant_block read_quant_block(tensor_type type, const std::uint8_t* p, int index);

} // namespace souffleur
