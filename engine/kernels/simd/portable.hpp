// Sixteen floats in plain C++, for any CPU. Lane by lane the same operations as simd/avx512.hpp; the bits
// differ only where a sum is so near the middle of two floats that rounding it in double precision first
// moves it there.
#pragma once

#include "engine/dequantize.hpp"

#include <bit>
#include <cmath>
#include <cstdint>

namespace souffleur {
namespace {

/// x * y + z. The product is exact in double precision.
inline float fma_once(float x, float y, float z) {
  return static_cast<float>(static_cast<double>(x) * static_cast<double>(y) + static_cast<double>(z));
}

struct f32x16 {
  float v[16];

  template <class F>
  static f32x16 each(const F& lane) {
    f32x16 out;
    for (int i = 0; i < 16; ++i)
      out.v[i] = lane(i);
    return out;
  }

  static f32x16 zero() { return all(0); }
  static f32x16 all(float x) {
    return each([x](int) { return x; });
  }
  static f32x16 load(const float* p) {
    return each([p](int i) { return p[i]; });
  }
  static f32x16 load_half(const std::uint16_t* p) {
    return each([p](int i) { return half_to_float(p[i]); });
  }
  static f32x16 load_brain(const std::uint16_t* p) {
    return each([p](int i) { return std::bit_cast<float>(static_cast<std::uint32_t>(p[i]) << 16); });
  }
  static f32x16 load_int8(const std::int8_t* p) {
    return each([p](int i) { return static_cast<float>(p[i]); });
  }
  void store(float* p) const {
    for (int i = 0; i < 16; ++i)
      p[i] = v[i];
  }
  void store_half(std::uint16_t* p) const {
    for (int i = 0; i < 16; ++i)
      p[i] = float_to_half(v[i]);
  }
  /// Rounded to the nearest, ties to even. REQUIRES: within int8.
  void store_int8(std::int8_t* p) const {
    for (int i = 0; i < 16; ++i)
      p[i] = static_cast<std::int8_t>(std::lrint(v[i]));
  }

  friend f32x16 operator+(const f32x16& x, const f32x16& y) {
    return each([&](int i) { return x.v[i] + y.v[i]; });
  }
  friend f32x16 operator-(const f32x16& x, const f32x16& y) {
    return each([&](int i) { return x.v[i] - y.v[i]; });
  }
  friend f32x16 operator*(const f32x16& x, const f32x16& y) {
    return each([&](int i) { return x.v[i] * y.v[i]; });
  }
  friend f32x16 operator/(const f32x16& x, const f32x16& y) {
    return each([&](int i) { return x.v[i] / y.v[i]; });
  }
  friend f32x16 max(const f32x16& x, const f32x16& y) {
    return each([&](int i) { return x.v[i] > y.v[i] ? x.v[i] : y.v[i]; });
  }
  friend f32x16 min(const f32x16& x, const f32x16& y) {
    return each([&](int i) { return x.v[i] < y.v[i] ? x.v[i] : y.v[i]; });
  }
  friend f32x16 abs(const f32x16& x) {
    return each([&](int i) { return std::fabs(x.v[i]); });
  }
  friend f32x16 fma(const f32x16& x, const f32x16& y, const f32x16& z) {
    return each([&](int i) { return fma_once(x.v[i], y.v[i], z.v[i]); });
  }
  /// x * 2^n for whole n with a normal result.
  friend f32x16 times_power_of_two(const f32x16& x, const f32x16& n) {
    return each([&](int i) {
      return x.v[i] * std::bit_cast<float>((static_cast<std::int32_t>(n.v[i]) + 127) << 23);
    });
  }
};

/// Lane i and lane i + 8 first, then i + 4, i + 2, i + 1: the same order on every instruction set.
inline float sum_of(f32x16 x) {
  for (int width = 8; width > 0; width /= 2)
    for (int i = 0; i < width; ++i)
      x.v[i] += x.v[i + width];
  return x.v[0];
}

inline float largest_of(const f32x16& x) {
  float largest = x.v[0];
  for (const float v : x.v)
    largest = largest > v ? largest : v;
  return largest;
}

/// Rounds 32 values to the nearest, ties to even, and sums up the first and the last sixteen. REQUIRES:
/// within int8.
inline void round_to_int8(const f32x16& low, const f32x16& high, std::int8_t* q, int* sums) {
  low.store_int8(q);
  high.store_int8(q + 16);
  for (int half = 0; half < 2; ++half) {
    sums[half] = 0;
    for (int i = 0; i < 16; ++i)
      sums[half] += q[16 * half + i];
  }
}

} // namespace
} // namespace souffleur
