// Sixteen floats in one AVX-512 register. Included by one source file only, after its instructions are
// chosen.
#pragma once

#include <cstdint>
#include <immintrin.h>

namespace souffleur {
namespace {

struct f32x16 {
  __m512 v;

  static f32x16 zero() { return {_mm512_setzero_ps()}; }
  static f32x16 all(float x) { return {_mm512_set1_ps(x)}; }
  static f32x16 load(const float* p) { return {_mm512_loadu_ps(p)}; }
  static f32x16 load_half(const std::uint16_t* p) {
    return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
  }
  static f32x16 load_brain(const std::uint16_t* p) {
    const __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
    return {_mm512_castsi512_ps(_mm512_slli_epi32(wide, 16))};
  }
  static f32x16 load_int8(const std::int8_t* p) {
    return {_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))))};
  }
  void store(float* p) const { _mm512_storeu_ps(p, v); }
  void store_half(std::uint16_t* p) const {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
  }
  /// Rounded to the nearest, ties to even. REQUIRES: within int8.
  void store_int8(std::int8_t* p) const {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(v)));
  }

  friend f32x16 operator+(f32x16 a, f32x16 b) { return {_mm512_add_ps(a.v, b.v)}; }
  friend f32x16 operator-(f32x16 a, f32x16 b) { return {_mm512_sub_ps(a.v, b.v)}; }
  friend f32x16 operator*(f32x16 a, f32x16 b) { return {_mm512_mul_ps(a.v, b.v)}; }
  friend f32x16 operator/(f32x16 a, f32x16 b) { return {_mm512_div_ps(a.v, b.v)}; }
  friend f32x16 max(f32x16 a, f32x16 b) { return {_mm512_max_ps(a.v, b.v)}; }
  friend f32x16 min(f32x16 a, f32x16 b) { return {_mm512_min_ps(a.v, b.v)}; }
  friend f32x16 abs(f32x16 a) { return {_mm512_abs_ps(a.v)}; }
  /// a * b + c, rounded once.
  friend f32x16 fma(f32x16 a, f32x16 b, f32x16 c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
  /// a * 2^n for whole n with a normal result.
  friend f32x16 times_power_of_two(f32x16 a, f32x16 n) {
    const __m512i exponent =
        _mm512_slli_epi32(_mm512_add_epi32(_mm512_cvtps_epi32(n.v), _mm512_set1_epi32(127)), 23);
    return {_mm512_mul_ps(a.v, _mm512_castsi512_ps(exponent))};
  }
};

/// Lane i and lane i + 8 first, then i + 4, i + 2, i + 1: the same order on every instruction set.
inline float sum_of(f32x16 x) {
  const __m256 half = _mm256_add_ps(_mm512_castps512_ps256(x.v), _mm512_extractf32x8_ps(x.v, 1));
  const __m128 quarter = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
  const __m128 pair = _mm_add_ps(quarter, _mm_movehl_ps(quarter, quarter));
  return _mm_cvtss_f32(_mm_add_ss(pair, _mm_movehdup_ps(pair)));
}

inline float largest_of(f32x16 x) {
  const __m256 half = _mm256_max_ps(_mm512_castps512_ps256(x.v), _mm512_extractf32x8_ps(x.v, 1));
  const __m128 quarter = _mm_max_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
  const __m128 pair = _mm_max_ps(quarter, _mm_movehl_ps(quarter, quarter));
  return _mm_cvtss_f32(_mm_max_ss(pair, _mm_movehdup_ps(pair)));
}

/// Rounds 32 values to the nearest, ties to even, and sums up the first and the last sixteen. REQUIRES:
/// within int8; q is aligned to 32 bytes.
inline void round_to_int8(f32x16 low, f32x16 high, std::int8_t* q, int* sums) {
  const __m256i all = _mm256_set_m128i(_mm512_cvtepi32_epi8(_mm512_cvtps_epi32(high.v)),
                                       _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(low.v)));
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
