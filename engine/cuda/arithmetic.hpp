// Arithmetic that a kernel on the device and its reference on the host share, so that both give the same
// bits: what is fused is written as fused, and both are compiled without contraction.
#pragma once

#include "engine/kernels/activation.hpp"

#include <cmath>
#include <cstdint>
#include <cstring>

#if defined(__CUDACC__)
#include <cuda_fp16.h>
#define SOUFFLEUR_BOTH __host__ __device__ __forceinline__
#else
#include "engine/dequantize.hpp"
#define SOUFFLEUR_BOTH inline
#endif
#if defined(__CUDA_ARCH__)
#define SOUFFLEUR_UNROLL _Pragma("unroll")
#else
#define SOUFFLEUR_UNROLL
#endif

namespace souffleur::cuda {

constexpr int warp_lanes = 32;

SOUFFLEUR_BOTH float float_of_bits(std::uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

SOUFFLEUR_BOTH std::uint32_t bits_of(float value) {
  std::uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

#if defined(__CUDACC__)
SOUFFLEUR_BOTH float float_of_half(std::uint16_t bits) { return __half2float(__ushort_as_half(bits)); }
SOUFFLEUR_BOTH std::uint16_t half_of(float value) { return __half_as_ushort(__float2half_rn(value)); }
#else
inline float float_of_half(std::uint16_t bits) { return half_to_float(bits); }
inline std::uint16_t half_of(float value) { return float_to_half(value); }
#endif

/// sum + the products of four signed bytes each.
SOUFFLEUR_BOTH int dot_of_bytes(std::uint32_t a, std::uint32_t b, int sum) {
#if defined(__CUDA_ARCH__)
  return __dp4a(static_cast<int>(a), static_cast<int>(b), sum);
#else
  for (int shift = 0; shift < 32; shift += 8)
    sum += static_cast<std::int8_t>(a >> shift) * static_cast<std::int8_t>(b >> shift);
  return sum;
#endif
}

/// e^x to about one unit in the last place, x clamped to the exponents of normal floats: the text of exp_of
/// in kernels/simd/rows.hpp, one value at a time.
SOUFFLEUR_BOTH float exp_of(float x) {
  x = fminf(fmaxf(x, -87.0F), 88.0F);
  const float magic = 12582912.0F; // adding it rounds to an integer
  const float n = fmaf(x, 1.44269504088896341F, magic) - magic;
  float r = fmaf(n, -0.693359375F, x);
  r = fmaf(n, 2.12194440e-4F, r);
  float p = 1.9875691500e-4F;
  p = fmaf(p, r, 1.3981999507e-3F);
  p = fmaf(p, r, 8.3334519073e-3F);
  p = fmaf(p, r, 4.1665795894e-2F);
  p = fmaf(p, r, 1.6666665459e-1F);
  p = fmaf(p, r, 5.0000001201e-1F);
  p = fmaf(p, r * r, r) + 1.0F;
  return p * float_of_bits(static_cast<std::uint32_t>(static_cast<int>(n) + 127) << 23);
}

SOUFFLEUR_BOTH float activated(activation kind, float x) {
  if (kind == activation::silu)
    return x / (1.0F + exp_of(-x));
  const float twice = x * fmaf(x * x, 2 * 0.7978845608F * 0.044715F, 2 * 0.7978845608F);
  return x * (1.0F - 1.0F / (1.0F + exp_of(twice)));
}

/// What a block of 32 inputs is rounded with: x = scale * q, |q| <= 127.
struct rounding {
  float scale;
  float inverse;
};

SOUFFLEUR_BOTH rounding rounding_of(float largest) {
  return {largest / 127.0F, largest > 1e-30F ? 127.0F / largest : 0.0F};
}

SOUFFLEUR_BOTH int rounded(float x, const rounding& by) { return static_cast<int>(rintf(x * by.inverse)); }

} // namespace souffleur::cuda
