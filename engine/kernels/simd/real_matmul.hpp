// Float weights times rows of floats, for whichever f32x16 is included before.
#pragma once

#include "engine/kernels/kernel_table.hpp"

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
void real_tile(const weight_group& group, const activation_panel& panel, float* out) {
  constexpr int step_bytes = lanes * F.bits / 8;
  f32x16 totals[Rows];
  for (auto& total : totals)
    total = f32x16::zero();
  const std::uint8_t* weights = group.quants;
  for (int k = 0; k < panel.n_in; ++k, weights += step_bytes) {
    const f32x16 w = load_weights<F>(weights);
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r)
      totals[r] = fma(w, f32x16::all(panel.rows[r * panel.stride + k]), totals[r]);
  }
  for (int r = 0; r < Rows; ++r)
    totals[r].store(out + r * lanes);
}

} // namespace
} // namespace souffleur
