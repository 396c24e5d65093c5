// From a tensor type and a number of rows, known at run time, to the tile function for them.
#pragma once

#include "engine/kernels/kernel_table.hpp"

namespace souffleur {
namespace {

template <packed_format F, int Groups, int Rows>
constexpr kernel_table::tile_function tile_for() {
  if constexpr (F.is_real)
    return real_tile<F, Groups, Rows>;
  else
    return quant_tile<F, Groups, Rows>;
}

template <int Groups, int Rows>
kernel_table::tile_function tile_of_type(tensor_type type) {
  switch (type) {
#define SOUFFLEUR_TILE(name)                                                                                 \
  case tensor_type::name:                                                                                    \
    return tile_for<packed_format_of(tensor_type::name), Groups, Rows>();
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
    return tile_for<packed_format_of(tensor_type::f32), Groups, Rows>();
  }
}

template <int MaxGroups, int Rows>
kernel_table::tile_function tile_of_groups(tensor_type type, [[maybe_unused]] int n_groups) {
  if constexpr (MaxGroups > 1)
    if (n_groups == MaxGroups)
      return tile_of_type<MaxGroups, Rows>(type);
  return tile_of_type<1, Rows>(type);
}

/// `n_groups` is 1 or MaxGroups, `n_rows` one of Sizes.
template <int MaxGroups, int... Sizes>
kernel_table::tile_function tile_of_sizes(tensor_type type, int n_groups, int n_rows) {
  kernel_table::tile_function found = nullptr;
  ((n_rows == Sizes && (found = tile_of_groups<MaxGroups, Sizes>(type, n_groups))), ...);
  return found;
}

} // namespace
} // namespace souffleur
