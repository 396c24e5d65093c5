// Float weights times rows of floats, for whichever f32x16 is included before.
#pragma once

#include "engine/kernels/kernel_table.hpp"
#include "engine/kernels/simd/indices.hpp"

namespace souffleur {
namespace {

template <packed_format F>
SOUFFLEUR_INLINE f32x16 load_weights(const std::uint8_t* at) {
  if constexpr (F.bits == 32)
    return f32x16::load(reinterpret_cast<const float*>(at));
  else if constexpr (F.is_brain)
    return f32x16::load_brain(reinterpret_cast<const std::uint16_t*>(at));
  else
    return f32x16::load_half(reinterpret_cast<const std::uint16_t*>(at));
}

/// Inputs are added up in order, whatever the number of rows.
template <packed_format F, int Rows>
void real_tile(const weight_pair& pair, const activation_panel& panel, const fetch_ahead& /*ahead*/,
               float* out) {
  constexpr int step_bytes = lanes * F.bits / 8;
  f32x16 totals[2][Rows];
  for (auto& group : totals)
    for (auto& total : group)
      total = f32x16::zero();
  for (int k = 0; k < panel.n_in; ++k)
    for_indices<2>([&](auto g) __attribute__((always_inline)) {
      const f32x16 w = load_weights<F>(pair.units + (2 * static_cast<std::ptrdiff_t>(k) + g) * step_bytes);
      for_indices<Rows>([&](auto r) __attribute__((always_inline)) {
        totals[g][r] = fma(w, f32x16::all(panel.rows[r * panel.stride + k]), totals[g][r]);
      });
    });
  for (int g = 0; g < 2; ++g)
    for (int r = 0; r < Rows; ++r)
      totals[g][r].store(out + (g * Rows + r) * lanes);
}

} // namespace
} // namespace souffleur
