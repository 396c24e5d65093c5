// Weights in the layout that the device's kernels read.
#pragma once

#include "engine/kernels/packed_matrix.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace souffleur::cuda {

/// How many sums a product over `n_in` inputs has: block b of 32 is added to number b % sums, and the sums
/// are added in pairs. A matter of the shape alone, since the bits hang on it.
constexpr int sums_for(int n_in) { return n_in >= 8192 ? 32 : n_in >= 1024 ? 16 : 8; }

/// Bytes of a block of 32 inputs in each plane.
struct plane_sizes {
  int quants = 0;
  int high = 0;
  int scales = 0;
  int supers = 0; ///< per `super_blocks` blocks
};

constexpr plane_sizes plane_sizes_of(const packed_format& format) {
  const int n_factors = format.n_scales * (format.has_min ? 2 : 1);
  return {format.bits == 8 ? 32 : 16,
          format.bits == 5   ? 4
          : format.bits == 6 ? 8
                             : 0,
          n_factors * (format.is_super ? 1 : 2), format.is_super ? (format.has_min ? 4 : 2) : 0};
}

/// Output rows whose blocks lie side by side.
constexpr int tile_outputs = 16;

/// W (n_out, n_in), somewhere in a device's memory; passed to kernels by value. Quantised weights lie in
/// planes, each (n_out / tile_outputs, blocks, tile_outputs), the last rows made up, of
///   quants  16 bytes: byte i has the low nibbles of inputs i and 16 + i; of eight bits 32 times int8;
///   high    of five bits 4 bytes: bit c of byte j is the fifth bit of input 4 c + j. Of six bits 8: bit pair
///           c % 4 of byte j of word c / 4 belongs to input 4 c + j;
///   scales  (n_scales,), then mins of the same shape: halves, or int8 times the super scale;
///   supers  halves: super scale, then super min; one for eight blocks.
/// w = scale * (q - zero) + min, exactly as in the GGUF. Real weights are (n_out, n_in) floats or halves.
struct device_matrix {
  const std::uint8_t* quants = nullptr;
  const std::uint8_t* high = nullptr;
  const std::uint8_t* scales = nullptr;
  const std::uint8_t* supers = nullptr;
  tensor_type type = tensor_type::f32;
  int n_out = 0;
  int n_in = 0;
};

/// Where a block stands in each plane. `n_blocks` of a row; for supers both are those of super blocks.
constexpr std::ptrdiff_t block_place(int row, int block, int n_blocks) {
  return (static_cast<std::ptrdiff_t>(row / tile_outputs) * n_blocks + block) * tile_outputs +
         row % tile_outputs;
}

/// Types that there are kernels for.
constexpr tensor_type device_types[] = {tensor_type::f32,  tensor_type::f16,  tensor_type::q4_1,
                                        tensor_type::q5_0, tensor_type::q8_0, tensor_type::q4_k,
                                        tensor_type::q6_k};
bool has_device_layout(tensor_type type);
/// A multiple of 16.
std::size_t device_bytes(tensor_type type, int n_out, int n_in);
/// The matrix whose planes begin at `at`.
device_matrix matrix_at(const std::uint8_t* at, tensor_type type, int n_out, int n_in);

/// Rows of GGUF blocks become rows first_row, first_row + step, ... of a matrix whose planes begin at `to`.
/// Matrices that are multiplied together stand one after the other; gate and up alternate (step 2).
struct row_sequence {
  int first = 0;
  int step = 1;
};
void pack_rows(const device_matrix& shape, std::span<const std::byte> source, int n_rows,
               const row_sequence& rows, std::uint8_t* to);

} // namespace souffleur::cuda
