// Quantised weights times rounded activations with AVX-512 VNNI: vpdpbusd multiplies four inputs of sixteen
// output rows by four activations and adds them to sixteen sums, exactly.
#pragma once

#include "engine/kernels/kernel_table.hpp"
#include "engine/kernels/simd/block_places.hpp"

namespace souffleur {
namespace {

/// Every 16 bits shifted left by N, or right by -N.
template <int N>
SOUFFLEUR_INLINE __m512i shifted(__m512i x) {
  if constexpr (N >= 0)
    return _mm512_slli_epi16(x, N);
  else
    return _mm512_srli_epi16(x, -N);
}

/// The block's chunks 2 G and 2 G + 1 as unsigned bytes.
template <packed_format F, int G>
SOUFFLEUR_INLINE void unpack_chunks(const std::uint8_t* block, __m512i& even, __m512i& odd) {
  const auto* vectors = reinterpret_cast<const __m512i*>(block);
  if constexpr (F.bits == 8) {
    even = _mm512_load_si512(vectors + 2 * G);
    odd = _mm512_load_si512(vectors + 2 * G + 1);
    return;
  }
  const __m512i low = _mm512_set1_epi8(15);
  const __m512i both = _mm512_load_si512(vectors + G);
  even = _mm512_and_si512(both, low);
  odd = _mm512_and_si512(_mm512_srli_epi16(both, 4), low);
  constexpr int merge = 0xEA; // (first & second) | third
  if constexpr (F.bits == 5) {
    const __m512i plane = _mm512_load_si512(vectors + 4);
    const __m512i bit = _mm512_set1_epi8(16);
    // Bits 2 G and 2 G + 1 of every byte move to bit 4; what a 16-bit shift brings in beside is masked off.
    const __m512i first = shifted<4 - 2 * G>(plane);
    const __m512i second = shifted<3 - 2 * G>(plane);
    even = _mm512_ternarylogic_epi32(first, bit, even, merge);
    odd = _mm512_ternarylogic_epi32(second, bit, odd, merge);
  } else if constexpr (F.bits == 6) {
    const __m512i plane = _mm512_load_si512(vectors + 4 + G / 2);
    const __m512i bits = _mm512_set1_epi8(48);
    const __m512i first = shifted < G % 2 == 0 ? 4 : 0 > (plane);
    const __m512i second = shifted < G % 2 == 0 ? 2 : -2 > (plane);
    even = _mm512_ternarylogic_epi32(first, bits, even, merge);
    odd = _mm512_ternarylogic_epi32(second, bits, odd, merge);
  }
}

SOUFFLEUR_INLINE __m512 halves_at(const std::uint8_t* p) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}

SOUFFLEUR_INLINE __m512 int8s_at(const std::uint8_t* p) {
  return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
}

/// Scale (or min, from `at` = n_scales on) number `at` of a block.
template <packed_format F>
SOUFFLEUR_INLINE __m512 factor_at(const std::uint8_t* scales, const std::uint8_t* supers, int at) {
  if constexpr (F.is_super)
    return _mm512_mul_ps(halves_at(supers + (at < F.n_scales ? 0 : 2 * rows_per_group)),
                         int8s_at(scales + at * rows_per_group));
  else
    return halves_at(scales + 2 * at * rows_per_group);
}

SOUFFLEUR_INLINE __m512i four_inputs(const std::int8_t* a) {
  std::int32_t four;
  __builtin_memcpy(&four, a, 4);
  return _mm512_set1_epi32(four);
}

constexpr int log2_of(int n) { return n <= 1 ? 0 : 1 + log2_of(n / 2); }

/// What the format's zero adds to a dot product: the sum begins with it.
template <packed_format F>
SOUFFLEUR_INLINE __m512i minus_zeros(std::int32_t negative_sum) {
  if constexpr (F.zero != 0)
    return _mm512_slli_epi32(_mm512_set1_epi32(negative_sum), log2_of(F.zero));
  else
    return _mm512_setzero_si512();
}

/// Rows up to which a block's groups are read one after the other, as they stand in memory, which the
/// hardware fetches ahead best. With more rows the groups share what is loaded of the activations: loads of
/// whole registers are as scarce as multiplications. Whole bytes are worth streaming for a row
/// more; a block with two scales is read in turns in any case, which asking ahead helps.
constexpr int max_streaming_rows(const packed_format& format) {
  return format.bits == 8 ? 4 : format.n_scales == 1 ? 3 : 2;
}

/// For every row and group the same operations in the same order, whatever Rows is.
template <packed_format F, int Rows>
void quant_tile(const weight_pair& pair_of_groups, const activation_panel& panel, const fetch_ahead& ahead,
                float* out) {
  constexpr int n_groups = 2;
  constexpr int pairs = 4 / F.n_scales; // of chunks that share a scale
  constexpr int at_once = Rows <= max_streaming_rows(F) && F.n_scales == 1 ? 1 : n_groups;
  __m512 totals[n_groups][Rows];
  for (auto& group : totals)
    for (auto& total : group)
      total = _mm512_setzero_ps();
  const std::int8_t* a = panel.quants;
  const float* a_scale = panel.scales;
  const float* a_sum = panel.sums;
  const std::int32_t* a_negative = panel.negative_sums;
  const int n_blocks = pair_of_groups.n_blocks;
  for (int b = 0; b < n_blocks; ++b) {
    const block_cursor<F> weights[n_groups] = {block_cursor<F>::at(pair_of_groups.units, 0, b),
                                               block_cursor<F>::at(pair_of_groups.units, 1, b)};
    if (ahead.wants(b))
      fetch_block(weights[0], ahead.bytes);
    for_indices<F.n_scales>([&](auto s) __attribute__((always_inline)) {
      __m512i dots[n_groups][Rows];
      for (int r = 0; r < Rows; ++r) {
        dots[0][r] = minus_zeros<F>(a_negative[(F.n_scales == 1 ? 0 : 1 + s) * Rows + r]);
        dots[1][r] = dots[0][r];
      }
      for_indices<n_groups / at_once>([&](auto turn) __attribute__((always_inline)) {
        for_indices<pairs>([&](auto index) __attribute__((always_inline)) {
          constexpr int pair = s * pairs + index;
          __m512i chunks[2][at_once];
          for_indices<at_once>([&](auto i) __attribute__((always_inline)) {
            unpack_chunks<F, pair>(weights[turn * at_once + i].quants, chunks[0][i], chunks[1][i]);
          });
          for_indices<2>([&](auto odd) __attribute__((always_inline)) {
            for_indices<Rows>([&](auto r) __attribute__((always_inline)) {
              const __m512i inputs = four_inputs(a + ((2 * pair + odd) * Rows + r) * 4);
              for_indices<at_once>([&](auto i) __attribute__((always_inline)) {
                auto& dot = dots[turn * at_once + i][r];
                dot = _mm512_dpbusd_epi32(dot, chunks[odd][i], inputs);
              });
            });
          });
        });
      });
      __m512 scale[n_groups];
      __m512 min[n_groups];
      for_indices<n_groups>([&](auto g) __attribute__((always_inline)) {
        scale[g] = factor_at<F>(weights[g].scales, weights[g].supers, s);
        if constexpr (F.has_min)
          min[g] = factor_at<F>(weights[g].scales, weights[g].supers, F.n_scales + s);
      });
      for_indices<Rows>([&](auto r) __attribute__((always_inline)) {
        const __m512 row_scale = _mm512_set1_ps(a_scale[r]);
        for_indices<n_groups>([&](auto g) __attribute__((always_inline)) {
          totals[g][r] = _mm512_fmadd_ps(_mm512_mul_ps(scale[g], row_scale), _mm512_cvtepi32_ps(dots[g][r]),
                                         totals[g][r]);
        });
        if constexpr (F.has_min) {
          const __m512 sum = _mm512_set1_ps(
              F.n_scales == 1 ? a_sum[r] : a_scale[r] * static_cast<float>(-a_negative[(1 + s) * Rows + r]));
          for_indices<n_groups>([&](auto g) __attribute__((always_inline)) {
            totals[g][r] = _mm512_fmadd_ps(min[g], sum, totals[g][r]);
          });
        }
      });
    });
    a += block_values * Rows;
    a_scale += Rows;
    a_sum += Rows;
    a_negative += 3 * Rows;
  }
  for (int g = 0; g < n_groups; ++g)
    for (int r = 0; r < Rows; ++r)
      _mm512_storeu_ps(out + (g * Rows + r) * rows_per_group, totals[g][r]);
}

} // namespace
} // namespace souffleur
