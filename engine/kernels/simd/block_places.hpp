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
    constexpr pair_layout layout = pair_layout_of(F);
    const auto place = place_of_block(layout, group, block);
    return {units + place.quants, units + place.scales, units + place.supers};
  }
};

/// Asks for what is `bytes` after the block of both groups whose first is at `block`: into the second-level
/// cache, since the first has no room for another pair.
template <packed_format F>
SOUFFLEUR_INLINE void fetch_block(const block_cursor<F>& block, int bytes) {
  constexpr int for_reading = 0;
  constexpr int second_level = 2;
  for_indices<pair_layout_of(F).block_bytes / 64>([&](auto line) __attribute__((always_inline)) {
    __builtin_prefetch(block.quants + bytes + 64 * line, for_reading, second_level);
  });
}

} // namespace
} // namespace souffleur
