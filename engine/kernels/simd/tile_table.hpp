// The table of whichever kernels are included before.
#pragma once

#include "engine/kernels/kernel_table.hpp"
#include "engine/kernels/simd/indices.hpp"

namespace souffleur {
namespace {

template <packed_format F, int Rows>
constexpr kernel_table::tile_function tile_for() {
  if constexpr (F.is_real)
    return real_tile<F, Rows>;
  else
    return quant_tile<F, Rows>;
}

template <int Rows>
kernel_table::tile_function tile_of_type(tensor_type type) {
  switch (type) {
#define SOUFFLEUR_TILE(name)                                                                                 \
  case tensor_type::name:                                                                                    \
    return tile_for<packed_format_of(tensor_type::name), Rows>();
    SOUFFLEUR_TILE(f16)
    SOUFFLEUR_TILE(bf16)
    SOUFFLEUR_TILE(q4_0)
    SOUFFLEUR_TILE(q4_1)
    SOUFFLEUR_TILE(q5_0)
    SOUFFLEUR_TILE(q5_1)
    SOUFFLEUR_TILE(q8_0)
    SOUFFLEUR_TILE(q2_k)
    SOUFFLEUR_TILE(q3_k)
    SOUFFLEUR_TILE(q4_k)
    SOUFFLEUR_TILE(q5_k)
    SOUFFLEUR_TILE(q6_k)
#undef SOUFFLEUR_TILE
  default:
    return tile_for<packed_format_of(tensor_type::f32), Rows>();
  }
}

/// The tile function for a tensor type and from 1 to MaxRows rows, both known at run time.
template <int MaxRows>
kernel_table::tile_function tile_of_rows(tensor_type type, int n_rows) {
  kernel_table::tile_function found = nullptr;
  for_indices<MaxRows>([&](auto i) {
    if (n_rows == i + 1)
      found = tile_of_type<i + 1>(type);
  });
  return found;
}

/// Panels of at most MaxRows rows; attention tiles of Queries, ascending.
template <int MaxRows, int... Queries>
const kernel_table& table_of() {
  static constexpr int tile_sizes[] = {Queries...};
  static constexpr kernel_table table{MaxRows,
                                      max_streaming_rows,
                                      tile_of_rows<MaxRows>,
                                      store_tile,
                                      round_row,
                                      rms_norm,
                                      layer_norm,
                                      gelu,
                                      gate,
                                      rotate,
                                      spread,
                                      dot,
                                      write_kv,
                                      tile_sizes,
                                      attend_sizes<Queries...>,
                                      merge,
                                      finish};
  return table;
}

} // namespace
} // namespace souffleur
