// Quantised weights times rounded activations with AVX2: vpmaddubsw multiplies four inputs of eight output
// rows by four activations and adds pairs in 16 bits; as many of those as cannot overflow are added before
// they are widened.
#pragma once

#include "engine/kernels/kernel_table.hpp"
#include "engine/kernels/simd/block_places.hpp"

namespace souffleur {
namespace {

constexpr int half_bytes = 32; ///< of a 64-byte vector: eight of the sixteen rows

SOUFFLEUR_INLINE __m256i load_256(const std::uint8_t* p) {
  return _mm256_load_si256(reinterpret_cast<const __m256i*>(p));
}

/// Every 16 bits shifted left by N, or right by -N.
template <int N>
SOUFFLEUR_INLINE __m256i shifted(__m256i x) {
  if constexpr (N >= 0)
    return _mm256_slli_epi16(x, N);
  else
    return _mm256_srli_epi16(x, -N);
}

/// Half `h` of the block's chunks 2 G and 2 G + 1 as bytes: unsigned, or signed for 8 bits.
template <packed_format F, int G>
SOUFFLEUR_INLINE void unpack_chunks(const std::uint8_t* block, int h, __m256i& even, __m256i& odd) {
  block += h * half_bytes;
  if constexpr (F.bits == 8) {
    const __m256i offset = _mm256_set1_epi8(static_cast<char>(F.zero));
    even = _mm256_xor_si256(load_256(block + 128 * G), offset);
    odd = _mm256_xor_si256(load_256(block + 128 * G + 64), offset);
    return;
  }
  const __m256i low = _mm256_set1_epi8(15);
  const __m256i both = load_256(block + 64 * G);
  even = _mm256_and_si256(both, low);
  odd = _mm256_and_si256(_mm256_srli_epi16(both, 4), low);
  if constexpr (F.bits == 5) {
    const __m256i plane = load_256(block + 256);
    const __m256i bit = _mm256_set1_epi8(16);
    // Bits 2 G and 2 G + 1 of every byte move to bit 4; what a 16-bit shift brings in beside is masked off.
    const __m256i first = shifted<4 - 2 * G>(plane);
    const __m256i second = shifted<3 - 2 * G>(plane);
    even = _mm256_or_si256(even, _mm256_and_si256(first, bit));
    odd = _mm256_or_si256(odd, _mm256_and_si256(second, bit));
  } else if constexpr (F.bits == 6) {
    const __m256i plane = load_256(block + 256 + 64 * (G / 2));
    const __m256i bits = _mm256_set1_epi8(48);
    const __m256i first = shifted < G % 2 == 0 ? 4 : 0 > (plane);
    const __m256i second = shifted < G % 2 == 0 ? 2 : -2 > (plane);
    even = _mm256_or_si256(even, _mm256_and_si256(first, bits));
    odd = _mm256_or_si256(odd, _mm256_and_si256(second, bits));
  }
}

/// Four products summed in pairs, 16 bits each.
template <packed_format F>
SOUFFLEUR_INLINE __m256i pair_products(__m256i weights, const std::int8_t* a) {
  std::int32_t four;
  __builtin_memcpy(&four, a, 4);
  const __m256i inputs = _mm256_set1_epi32(four);
  if constexpr (F.bits == 8) // one operand must be unsigned: the weights' signs move to the activations
    return _mm256_maddubs_epi16(_mm256_abs_epi8(weights), _mm256_sign_epi8(inputs, weights));
  else
    return _mm256_maddubs_epi16(weights, inputs);
}

SOUFFLEUR_INLINE __m256 halves_at(const std::uint8_t* p) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}

SOUFFLEUR_INLINE __m256 int8s_at(const std::uint8_t* p) {
  return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
}

/// Half `h` of scale (or min, from `at` = n_scales on) number `at` of a block.
template <packed_format F>
SOUFFLEUR_INLINE __m256 factor_at(const std::uint8_t* scales, const std::uint8_t* supers, int at, int h) {
  if constexpr (F.is_super)
    return _mm256_mul_ps(halves_at(supers + (at < F.n_scales ? 0 : 2 * rows_per_group) + 16 * h),
                         int8s_at(scales + at * rows_per_group + 8 * h));
  else
    return halves_at(scales + 2 * at * rows_per_group + 16 * h);
}

constexpr int log2_of(int n) { return n <= 1 ? 0 : 1 + log2_of(n / 2); }

/// What the format's zero adds to a dot product: the sum begins with it. Bytes are unpacked without their
/// offset.
template <packed_format F>
SOUFFLEUR_INLINE __m256i minus_zeros(std::int32_t negative_sum) {
  if constexpr (F.zero != 0 && F.bits != 8)
    return _mm256_slli_epi32(_mm256_set1_epi32(negative_sum), log2_of(F.zero));
  else
    return _mm256_setzero_si256();
}

/// Pairs of chunks whose 16-bit sums cannot overflow: 2^bits - 1 times 127, twice per pair product.
constexpr int pairs_in_16_bits(int bits) { return bits == 4 ? 4 : bits == 5 ? 2 : bits == 6 ? 1 : 0; }

/// The rounded activations of one block.
struct block_activations {
  const std::int8_t* quants;
  const float* scales;
  const float* sums;
  const std::int32_t* negative_sums;

  template <int Rows>
  SOUFFLEUR_INLINE static block_activations at(const activation_panel& panel, int block) {
    const std::ptrdiff_t row = static_cast<std::ptrdiff_t>(block) * Rows;
    return {panel.quants + row * block_values, panel.scales + row, panel.sums + row,
            panel.negative_sums + 3 * row};
  }
};

/// totals += half `h` of a block's rows times its activations. For every row the same operations in the same
/// order, whatever Rows is.
template <packed_format F, int Rows>
SOUFFLEUR_INLINE void add_half_block(const block_cursor<F>& weights, int h, const block_activations& from,
                                     __m256 (&totals)[Rows]) {
  constexpr int pairs = 4 / F.n_scales; // of chunks that share a scale
  constexpr int exact_pairs = pairs_in_16_bits(F.bits) < pairs ? pairs_in_16_bits(F.bits) : pairs;
  const __m256i one = _mm256_set1_epi16(1);
  const auto [a, a_scale, a_sum, a_negative] = from;
  for_indices<F.n_scales>([&](auto s) __attribute__((always_inline)) {
    constexpr int S = s;
    __m256i dots[Rows];
    for (int r = 0; r < Rows; ++r)
      dots[r] = minus_zeros<F>(a_negative[(F.n_scales == 1 ? 0 : 1 + S) * Rows + r]);
    if constexpr (exact_pairs == 0) {
      for_indices<pairs>([&](auto index) __attribute__((always_inline)) {
        constexpr int g = S * pairs + index;
        __m256i even, odd;
        unpack_chunks<F, g>(weights.quants, h, even, odd);
#pragma GCC unroll 4
        for (int r = 0; r < Rows; ++r) {
          dots[r] = _mm256_add_epi32(
              dots[r], _mm256_madd_epi16(pair_products<F>(even, a + (2 * g * Rows + r) * 4), one));
          dots[r] = _mm256_add_epi32(
              dots[r], _mm256_madd_epi16(pair_products<F>(odd, a + ((2 * g + 1) * Rows + r) * 4), one));
        }
      });
    } else {
      for_indices<pairs / exact_pairs>([&](auto part) __attribute__((always_inline)) {
        __m256i sums[Rows];
        for_indices<exact_pairs>([&](auto index) __attribute__((always_inline)) {
          constexpr int g = S * pairs + part * exact_pairs + index;
          __m256i even, odd;
          unpack_chunks<F, g>(weights.quants, h, even, odd);
#pragma GCC unroll 4
          for (int r = 0; r < Rows; ++r) {
            const __m256i product = pair_products<F>(even, a + (2 * g * Rows + r) * 4);
            sums[r] = index == 0 ? product : _mm256_add_epi16(sums[r], product);
            sums[r] = _mm256_add_epi16(sums[r], pair_products<F>(odd, a + ((2 * g + 1) * Rows + r) * 4));
          }
        });
#pragma GCC unroll 4
        for (int r = 0; r < Rows; ++r)
          dots[r] = _mm256_add_epi32(dots[r], _mm256_madd_epi16(sums[r], one));
      });
    }
    const __m256 scale = factor_at<F>(weights.scales, weights.supers, s, h);
#pragma GCC unroll 4
    for (int r = 0; r < Rows; ++r)
      totals[r] = _mm256_fmadd_ps(_mm256_mul_ps(scale, _mm256_set1_ps(a_scale[r])),
                                  _mm256_cvtepi32_ps(dots[r]), totals[r]);
    if constexpr (F.has_min) {
      const __m256 min = factor_at<F>(weights.scales, weights.supers, F.n_scales + s, h);
#pragma GCC unroll 4
      for (int r = 0; r < Rows; ++r) {
        const float sum =
            F.n_scales == 1 ? a_sum[r] : a_scale[r] * static_cast<float>(-a_negative[(1 + s) * Rows + r]);
        totals[r] = _mm256_fmadd_ps(min, _mm256_set1_ps(sum), totals[r]);
      }
    }
  });
}

/// Half `h` of the rows of the pair's group `group`.
template <packed_format F, int Rows>
SOUFFLEUR_INLINE void half_tile(const weight_pair& pair, int group, const activation_panel& panel,
                                const fetch_ahead& ahead, int h, float* out) {
  __m256 totals[Rows];
  for (auto& total : totals)
    total = _mm256_setzero_ps();
  for (int b = 0; b < pair.n_blocks; ++b) {
    const auto weights = block_cursor<F>::at(pair.units, group, b);
    if (group == 0 && h == 0 && ahead.wants(b))
      fetch_block(weights, ahead.bytes);
    add_half_block<F, Rows>(weights, h, block_activations::at<Rows>(panel, b), totals);
  }
  for (int r = 0; r < Rows; ++r)
    _mm256_storeu_ps(out + r * rows_per_group + 8 * h, totals[r]);
}

/// All four halves, a block at a time: the weights are read once, front to back.
template <packed_format F, int Rows>
SOUFFLEUR_INLINE void whole_tile(const weight_pair& pair, const activation_panel& panel,
                                 const fetch_ahead& ahead, float* out) {
  __m256 totals[2][2][Rows];
  for_indices<4>([&](auto i) __attribute__((always_inline)) {
    for (auto& total : totals[i / 2][i % 2])
      total = _mm256_setzero_ps();
  });
  for (int b = 0; b < pair.n_blocks; ++b) {
    if (ahead.wants(b))
      fetch_block(block_cursor<F>::at(pair.units, 0, b), ahead.bytes);
    const auto from = block_activations::at<Rows>(panel, b);
    for_indices<4>([&](auto i) __attribute__((always_inline)) {
      add_half_block<F, Rows>(block_cursor<F>::at(pair.units, i / 2, b), i % 2, from, totals[i / 2][i % 2]);
    });
  }
  for_indices<4>([&](auto i) __attribute__((always_inline)) {
    for (int r = 0; r < Rows; ++r)
      _mm256_storeu_ps(out + (i / 2 * Rows + r) * rows_per_group + i % 2 * 8, totals[i / 2][i % 2][r]);
  });
}

/// The sums of two rows for a whole pair stay in registers. Where reading the weights once instead of four
/// times is worth more than that, more rows do the same.
constexpr int max_streaming_rows(const packed_format& format) { return format.bits == 8 ? 3 : 2; }

template <packed_format F, int Rows>
void quant_tile(const weight_pair& pair, const activation_panel& panel, const fetch_ahead& ahead,
                float* out) {
  if constexpr (Rows <= max_streaming_rows(F)) {
    whole_tile<F, Rows>(pair, panel, ahead, out);
    return;
  }
  for (int group = 0; group < 2; ++group)
    for (int h = 0; h < 2; ++h)
      half_tile<F, Rows>(pair, group, panel, ahead, h, out + group * Rows * rows_per_group);
}

} // namespace
} // namespace souffleur
