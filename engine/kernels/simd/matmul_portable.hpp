// Quantised weights times rounded activations in plain C++, for any CPU.
#pragma once

#include "engine/kernels/kernel_table.hpp"
#include "engine/kernels/simd/block_places.hpp"

namespace souffleur {
namespace {

/// Byte `at` (4 * row + input % 4) of chunk `c`.
template <packed_format F>
int quant_at(const std::uint8_t* block, int c, int at) {
  if constexpr (F.bits == 8)
    return block[c * 64 + at];
  int q = (block[(c / 2) * 64 + at] >> (4 * (c % 2))) & 15;
  if constexpr (F.bits == 5)
    q |= ((block[256 + at] >> c) & 1) << 4;
  if constexpr (F.bits == 6)
    q |= ((block[256 + 64 * (c / 4) + at] >> (2 * (c % 4))) & 3) << 4;
  return q;
}

template <packed_format F>
float factor_at(const std::uint8_t* scales, const std::uint8_t* supers, int at, int lane) {
  const auto half = [](const std::uint8_t* p, int index) {
    std::uint16_t bits;
    __builtin_memcpy(&bits, p + 2 * index, 2);
    return half_to_float(bits);
  };
  if constexpr (F.is_super)
    return half(supers, (at < F.n_scales ? 0 : rows_per_group) + lane) *
           static_cast<float>(static_cast<std::int8_t>(scales[at * rows_per_group + lane]));
  else
    return half(scales, at * rows_per_group + lane);
}

template <packed_format F, int Rows>
void group_tile(const weight_pair& pair, int group, const activation_panel& panel, float* out) {
  constexpr int chunks = 8 / F.n_scales; // that share a scale
  for (int i = 0; i < Rows * rows_per_group; ++i)
    out[i] = 0;
  for (int b = 0; b < pair.n_blocks; ++b) {
    const auto [quants, scales, supers] = block_cursor<F>::at(pair.units, group, b);
    const auto* a = panel.quants + static_cast<std::ptrdiff_t>(b) * block_values * Rows;
    for (int s = 0; s < F.n_scales; ++s) {
      int dots[Rows][rows_per_group] = {};
      for (int c = s * chunks; c < (s + 1) * chunks; ++c) {
        int q[4 * rows_per_group];
        for (int at = 0; at < 4 * rows_per_group; ++at)
          q[at] = quant_at<F>(quants, c, at) - F.zero;
        for (int r = 0; r < Rows; ++r)
          for (int lane = 0; lane < rows_per_group; ++lane)
            for (int j = 0; j < 4; ++j)
              dots[r][lane] += q[4 * lane + j] * a[(c * Rows + r) * 4 + j];
      }
      for (int r = 0; r < Rows; ++r) {
        const std::ptrdiff_t at = static_cast<std::ptrdiff_t>(b) * Rows + r;
        const auto* negative = panel.negative_sums + static_cast<std::ptrdiff_t>(b) * 3 * Rows + r;
        const float sum = F.n_scales == 1 ? panel.sums[at]
                                          : panel.scales[at] * static_cast<float>(-negative[(1 + s) * Rows]);
        for (int lane = 0; lane < rows_per_group; ++lane) {
          float& total = out[r * rows_per_group + lane];
          total = fma_once(factor_at<F>(scales, supers, s, lane) * panel.scales[at],
                           static_cast<float>(dots[r][lane]), total);
          if (F.has_min)
            total = fma_once(factor_at<F>(scales, supers, F.n_scales + s, lane), sum, total);
        }
      }
    }
  }
}

constexpr int max_streaming_rows(const packed_format&) { return 0; }

template <packed_format F, int Rows>
void quant_tile(const weight_pair& pair, const activation_panel& panel, const fetch_ahead& /*ahead*/,
                float* out) {
  for (int group = 0; group < 2; ++group)
    group_tile<F, Rows>(pair, group, panel, out + group * Rows * rows_per_group);
}

} // namespace
} // namespace souffleur
