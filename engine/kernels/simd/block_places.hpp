// Where the parts of a block stand in a pair of groups; see weight_pair.
#pragma once

#include "engine/kernels/kernel_table.hpp"

namespace souffleur {
namespace {

/// Cursor over the blocks of one group of a pair.
template <packed_format F>
struct block_cursor {
  const std::uint8_t* quants;
  const std::uint8_t* scales;
  const std::uint8_t* supers;

  SOUFFLEUR_INLINE static block_cursor at(const std::uint8_t* units, int group, int block) {
    constexpr int n = F.unit_blocks();
    constexpr int quant_bytes = F.quant_bytes();
    constexpr int scale_bytes = F.scale_bytes();
    constexpr int super_bytes = F.super_bytes();
    constexpr int unit_bytes = F.unit_bytes();
    constexpr int block_bytes = F.pair_block_bytes();
    const std::uint8_t* unit = units + static_cast<std::ptrdiff_t>(block / n) * unit_bytes;
    const std::uint8_t* both = unit + 2 * super_bytes + block % n * block_bytes;
    return {both + group * quant_bytes, both + 2 * quant_bytes + group * scale_bytes,
            unit + group * super_bytes};
  }
};

/// Asks for what is `bytes` after the block of both groups whose first is at `block`.
template <packed_format F>
SOUFFLEUR_INLINE void fetch_block(const block_cursor<F>& block, int bytes) {
  for_indices<F.pair_block_bytes() / 64>([&](auto line) __attribute__((always_inline)) {
    __builtin_prefetch(block.quants + bytes + 64 * line);
  });
}

} // namespace
} // namespace souffleur
