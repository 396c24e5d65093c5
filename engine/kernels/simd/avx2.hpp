// Sixteen floats in two AVX registers. Included by one source file only, after its instructions are chosen.
// Lane by lane the same operations as simd/avx512.hpp, so the same bits.
#pragma once

#include <cstdint>
#include <immintrin.h>

namespace souffleur {
namespace {

struct f32x16 {
  __m256 a, b;

  static f32x16 zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
  static f32x16 all(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
  static f32x16 load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
  static f32x16 load_half(const std::uint16_t* p) {
    const auto* q = reinterpret_cast<const __m128i*>(p);
    return {_mm256_cvtph_ps(_mm_loadu_si128(q)), _mm256_cvtph_ps(_mm_loadu_si128(q + 1))};
  }
  static f32x16 load_brain(const std::uint16_t* p) {
    const auto* q = reinterpret_cast<const __m128i*>(p);
    const auto half = [](__m128i x) {
      return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(x), 16));
    };
    return {half(_mm_loadu_si128(q)), half(_mm_loadu_si128(q + 1))};
  }
  static f32x16 load_int8(const std::int8_t* p) {
    const auto half = [](const std::int8_t* q) {
      return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(q))));
    };
    return {half(p), half(p + 8)};
  }
  void store(float* p) const {
    _mm256_storeu_ps(p, a);
    _mm256_storeu_ps(p + 8, b);
  }
  void store_half(std::uint16_t* p) const {
    auto* q = reinterpret_cast<__m128i*>(p);
    _mm_storeu_si128(q, _mm256_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT));
    _mm_storeu_si128(q + 1, _mm256_cvtps_ph(b, _MM_FROUND_TO_NEAREST_INT));
  }
  /// Rounded to the nearest, ties to even. REQUIRES: within int8.
  void store_int8(std::int8_t* p) const {
    const __m256i words =
        _mm256_packs_epi32(_mm256_cvtps_epi32(a), _mm256_cvtps_epi32(b)); // halves interleaved
    const __m256i ordered = _mm256_permute4x64_epi64(words, 0xD8);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p),
                     _mm_packs_epi16(_mm256_castsi256_si128(ordered), _mm256_extracti128_si256(ordered, 1)));
  }

  friend f32x16 operator+(f32x16 x, f32x16 y) { return {_mm256_add_ps(x.a, y.a), _mm256_add_ps(x.b, y.b)}; }
  friend f32x16 operator-(f32x16 x, f32x16 y) { return {_mm256_sub_ps(x.a, y.a), _mm256_sub_ps(x.b, y.b)}; }
  friend f32x16 operator*(f32x16 x, f32x16 y) { return {_mm256_mul_ps(x.a, y.a), _mm256_mul_ps(x.b, y.b)}; }
  friend f32x16 operator/(f32x16 x, f32x16 y) { return {_mm256_div_ps(x.a, y.a), _mm256_div_ps(x.b, y.b)}; }
  friend f32x16 max(f32x16 x, f32x16 y) { return {_mm256_max_ps(x.a, y.a), _mm256_max_ps(x.b, y.b)}; }
  friend f32x16 min(f32x16 x, f32x16 y) { return {_mm256_min_ps(x.a, y.a), _mm256_min_ps(x.b, y.b)}; }
  friend f32x16 abs(f32x16 x) {
    const __m256 sign = _mm256_set1_ps(-0.0F);
    return {_mm256_andnot_ps(sign, x.a), _mm256_andnot_ps(sign, x.b)};
  }
  /// x * y + z, rounded once.
  friend f32x16 fma(f32x16 x, f32x16 y, f32x16 z) {
    return {_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)};
  }
  /// x * 2^n for whole n with a normal result.
  friend f32x16 times_power_of_two(f32x16 x, f32x16 n) {
    const auto half = [](__m256 y, __m256 m) {
      const __m256i exponent =
          _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(m), _mm256_set1_epi32(127)), 23);
      return _mm256_mul_ps(y, _mm256_castsi256_ps(exponent));
    };
    return {half(x.a, n.a), half(x.b, n.b)};
  }
};

/// Lane i and lane i + 8 first, then i + 4, i + 2, i + 1: the same order on every instruction set.
inline float sum_of(f32x16 x) {
  const __m256 half = _mm256_add_ps(x.a, x.b);
  const __m128 quarter = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
  const __m128 pair = _mm_add_ps(quarter, _mm_movehl_ps(quarter, quarter));
  return _mm_cvtss_f32(_mm_add_ss(pair, _mm_movehdup_ps(pair)));
}

inline float largest_of(f32x16 x) {
  const __m256 half = _mm256_max_ps(x.a, x.b);
  const __m128 quarter = _mm_max_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
  const __m128 pair = _mm_max_ps(quarter, _mm_movehl_ps(quarter, quarter));
  return _mm_cvtss_f32(_mm_max_ss(pair, _mm_movehdup_ps(pair)));
}

/// Rounds 32 values to the nearest, ties to even, and sums up the first and the last sixteen. REQUIRES:
/// within int8; q is aligned to 32 bytes.
inline void round_to_int8(f32x16 low, f32x16 high, std::int8_t* q, int* sums) {
  const __m256i first = _mm256_packs_epi32(_mm256_cvtps_epi32(low.a), _mm256_cvtps_epi32(low.b));
  const __m256i last = _mm256_packs_epi32(_mm256_cvtps_epi32(high.a), _mm256_cvtps_epi32(high.b));
  // Packing works on halves of registers: fours of values are out of order.
  const __m256i all =
      _mm256_permutevar8x32_epi32(_mm256_packs_epi16(first, last), _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
  _mm256_store_si256(reinterpret_cast<__m256i*>(q), all);
  const __m256i fours =
      _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_set1_epi8(1), all), _mm256_set1_epi16(1));
  const __m256i eights = _mm256_add_epi32(fours, _mm256_shuffle_epi32(fours, 0x4E));
  const __m256i sixteens = _mm256_add_epi32(eights, _mm256_shuffle_epi32(eights, 0xB1));
  sums[0] = _mm256_cvtsi256_si32(sixteens);
  sums[1] = _mm_cvtsi128_si32(_mm256_extracti128_si256(sixteens, 1));
}

} // namespace
} // namespace souffleur
