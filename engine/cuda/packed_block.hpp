// A block of 32 weights of a device_matrix, and its product with 32 rounded inputs.
#pragma once

#include "engine/cuda/arithmetic.hpp"
#include "engine/cuda/device_matrix.hpp"

namespace souffleur::cuda {

/// Of a rounded block of inputs: x = scale * q. `sums` of q, of its first sixteen and its last sixteen.
struct block_stats {
  float scale;
  std::int16_t sums[2];
};

/// Input rows whose blocks lie side by side.
constexpr int tile_rows = 8;
constexpr int padded_rows(int n_rows) { return (n_rows + tile_rows - 1) / tile_rows * tile_rows; }

/// Where a block stands among rounded rows.
constexpr std::ptrdiff_t input_place(int row, int block, int n_blocks) {
  return (static_cast<std::ptrdiff_t>(row / tile_rows) * n_blocks + block) * tile_rows + row % tile_rows;
}

template <tensor_type T>
inline constexpr packed_format format = packed_format_of(T);

/// A block's scales as they are stored.
struct packed_factors {
  std::uint32_t scales;
  std::uint32_t supers; ///< where the format has any
};

/// The block as it is stored: all that has to be loaded, and nothing computed yet.
template <tensor_type T>
struct packed_block {
  std::uint32_t low[format<T>.bits == 8 ? 8 : 4];
  std::uint32_t high[format<T>.bits == 6 ? 2 : 1];
  packed_factors factors;
};

/// n * 4 bytes that are aligned so.
template <int n>
SOUFFLEUR_BOTH void load_words(const std::uint8_t* from, std::uint32_t* to) {
#if defined(__CUDA_ARCH__)
  if constexpr (n == 4) {
    const uint4 words = *reinterpret_cast<const uint4*>(from);
    to[0] = words.x, to[1] = words.y, to[2] = words.z, to[3] = words.w;
  } else if constexpr (n == 2) {
    const uint2 words = *reinterpret_cast<const uint2*>(from);
    to[0] = words.x, to[1] = words.y;
  } else {
    to[0] = *reinterpret_cast<const std::uint32_t*>(from);
  }
#else
  memcpy(to, from, 4 * n);
#endif
}

/// Two or four bytes that are aligned so.
template <int n>
SOUFFLEUR_BOTH std::uint32_t load_bytes(const std::uint8_t* from) {
  static_assert(n == 2 || n == 4);
  std::uint32_t word = 0;
#if defined(__CUDA_ARCH__)
  if constexpr (n == 4)
    word = *reinterpret_cast<const std::uint32_t*>(from);
  else
    word = *reinterpret_cast<const std::uint16_t*>(from);
#else
  memcpy(&word, from, n);
#endif
  return word;
}

template <tensor_type T>
SOUFFLEUR_BOTH packed_factors load_factors(const device_matrix& matrix, int row, int block) {
  constexpr plane_sizes sizes = plane_sizes_of(format<T>);
  const int n_blocks = matrix.n_in / block_values;
  packed_factors loaded{};
  loaded.scales = load_bytes<sizes.scales>(matrix.scales + block_place(row, block, n_blocks) * sizes.scales);
  if constexpr (sizes.supers > 0)
    loaded.supers = load_bytes<sizes.supers>(
        matrix.supers + block_place(row, block / super_blocks, n_blocks / super_blocks) * sizes.supers);
  return loaded;
}

template <tensor_type T>
SOUFFLEUR_BOTH packed_block<T> load_block(const device_matrix& matrix, int row, int block) {
  constexpr plane_sizes sizes = plane_sizes_of(format<T>);
  const auto place = block_place(row, block, matrix.n_in / block_values);
  packed_block<T> loaded;
  load_words<4>(matrix.quants + place * sizes.quants, loaded.low);
  if constexpr (format<T>.bits == 8)
    load_words<4>(matrix.quants + place * sizes.quants + 16, loaded.low + 4);
  if constexpr (sizes.high > 0)
    load_words<sizes.high / 4>(matrix.high + place * sizes.high, loaded.high);
  loaded.factors = load_factors<T>(matrix, row, block);
  return loaded;
}

template <tensor_type T>
struct block_factors {
  float scales[format<T>.n_scales];
  float mins[format<T>.n_scales]; ///< where there are any
};

/// Inputs 4 c to 4 c + 3 of the block are the bytes of words[c], without their zero.
template <tensor_type T>
struct unpacked_block {
  std::uint32_t words[8];
  block_factors<T> factors;
};

/// The zero is already gone from eight bits.
template <tensor_type T>
constexpr int zero_of = format<T>.bits == 8 ? 0 : format<T>.zero;

template <tensor_type T>
SOUFFLEUR_BOTH std::uint32_t quants_of(const packed_block<T>& block, int chunk) {
  if constexpr (format<T>.bits == 8) {
    return block.low[chunk];
  } else {
    std::uint32_t word = (chunk < 4 ? block.low[chunk] : block.low[chunk - 4] >> 4) & 0x0F0F0F0FU;
    if constexpr (format<T>.bits == 5)
      word |= ((block.high[0] >> chunk) & 0x01010101U) << 4;
    if constexpr (format<T>.bits == 6)
      word |= ((block.high[chunk / 4] >> (2 * (chunk % 4))) & 0x03030303U) << 4;
    return word;
  }
}

/// Number `index` of the scales and mins.
template <tensor_type T>
SOUFFLEUR_BOTH float factor_of(const packed_factors& factors, int index, bool is_min) {
  if constexpr (format<T>.is_super) {
    const float super = float_of_half(static_cast<std::uint16_t>(factors.supers >> (is_min ? 16 : 0)));
    return super * static_cast<float>(static_cast<std::int8_t>(factors.scales >> (8 * index)));
  } else {
    return float_of_half(static_cast<std::uint16_t>(factors.scales >> (16 * index)));
  }
}

template <tensor_type T>
SOUFFLEUR_BOTH block_factors<T> unpack(const packed_factors& packed) {
  static_assert(format<T>.is_super || format<T>.n_scales == 1);
  block_factors<T> factors;
  SOUFFLEUR_UNROLL
  for (int g = 0; g < format<T>.n_scales; ++g) {
    factors.scales[g] = factor_of<T>(packed, g, false);
    if constexpr (format<T>.has_min)
      factors.mins[g] = factor_of<T>(packed, format<T>.n_scales + g, true);
  }
  return factors;
}

template <tensor_type T>
SOUFFLEUR_BOTH unpacked_block<T> unpack(const packed_block<T>& block) {
  unpacked_block<T> result;
  SOUFFLEUR_UNROLL
  for (int chunk = 0; chunk < 8; ++chunk)
    result.words[chunk] = quants_of<T>(block, chunk);
  result.factors = unpack<T>(block.factors);
  return result;
}

/// Weight i of the block, as the GGUF defines it.
template <tensor_type T>
SOUFFLEUR_BOTH float weight_of(const unpacked_block<T>& block, int i) {
  const int g = i * format<T>.n_scales / block_values;
  const auto byte = static_cast<std::int8_t>(block.words[i / 4] >> (8 * (i % 4)));
  const float product = block.factors.scales[g] * static_cast<float>(byte - zero_of<T>);
  if constexpr (format<T>.has_min)
    return product + block.factors.mins[g];
  return product;
}

/// sum + the block's product with rounded inputs, from the dot products of their quants, one for each scale.
/// Those are exact, so it is all the same how they were added up.
template <tensor_type T>
SOUFFLEUR_BOTH float add_dots(float sum, const block_factors<T>& factors,
                              const int (&dots)[format<T>.n_scales], const block_stats& stats) {
  SOUFFLEUR_UNROLL
  for (int g = 0; g < format<T>.n_scales; ++g) {
    const int total = format<T>.n_scales == 1 ? stats.sums[0] + stats.sums[1] : stats.sums[g];
    sum = fmaf(factors.scales[g] * stats.scale, static_cast<float>(dots[g] - zero_of<T> * total), sum);
    if constexpr (format<T>.has_min)
      sum = fmaf(factors.mins[g] * stats.scale, static_cast<float>(total), sum);
  }
  return sum;
}

/// sum + the block's product with inputs `x`.
template <tensor_type T>
SOUFFLEUR_BOTH float add_product(float sum, const unpacked_block<T>& block, const std::uint32_t (&x)[8],
                                 const block_stats& stats) {
  constexpr int n_chunks = 8 / format<T>.n_scales;
  int dots[format<T>.n_scales] = {};
  SOUFFLEUR_UNROLL
  for (int chunk = 0; chunk < 8; ++chunk)
    dots[chunk / n_chunks] = dot_of_bytes(block.words[chunk], x[chunk], dots[chunk / n_chunks]);
  return add_dots<T>(sum, block.factors, dots, stats);
}

/// Runs `body.operator()<T>()` for the quantised format of `type`. REQUIRES: one of device_types, not real.
template <class Body>
void with_quantised_format(tensor_type type, const Body& body) {
  switch (type) {
  case tensor_type::q4_1:
    return body.template operator()<tensor_type::q4_1>();
  case tensor_type::q5_0:
    return body.template operator()<tensor_type::q5_0>();
  case tensor_type::q4_k:
    return body.template operator()<tensor_type::q4_k>();
  case tensor_type::q6_k:
    return body.template operator()<tensor_type::q6_k>();
  default:
    return body.template operator()<tensor_type::q8_0>();
  }
}

} // namespace souffleur::cuda
