// Kernels over single rows, for whichever f32x16 is included before.
#pragma once

#include "engine/kernels/kernel_table.hpp"

namespace souffleur {
namespace {

#define SOUFFLEUR_INLINE __attribute__((always_inline)) inline

constexpr int lanes = 16;

/// Runs `body(i, n)` over [0, n_all) in steps of sixteen; the last n may be less.
template <class F>
SOUFFLEUR_INLINE void for_lanes(int n_all, const F& body) {
  int i = 0;
  for (; i + lanes <= n_all; i += lanes)
    body(i, lanes);
  if (i < n_all)
    body(i, n_all - i);
}

/// The first n of sixteen values; the others are `rest`.
SOUFFLEUR_INLINE f32x16 load_some(const float* p, int n, float rest = 0) {
  if (n == lanes)
    return f32x16::load(p);
  float padded[lanes];
  for (int i = 0; i < lanes; ++i)
    padded[i] = i < n ? p[i] : rest;
  return f32x16::load(padded);
}

SOUFFLEUR_INLINE void store_some(f32x16 x, float* p, int n) {
  if (n == lanes)
    return x.store(p);
  float padded[lanes];
  x.store(padded);
  for (int i = 0; i < n; ++i)
    p[i] = padded[i];
}

/// e^x to about one unit in the last place, x clamped to the exponents of normal floats. Range reduction by
/// multiples of ln 2, then a degree-6 polynomial (Cephes).
SOUFFLEUR_INLINE f32x16 exp_of(f32x16 x) {
  x = min(max(x, f32x16::all(-87.0F)), f32x16::all(88.0F));
  const f32x16 magic = f32x16::all(12582912.0F); // adding it rounds to an integer
  const f32x16 n = fma(x, f32x16::all(1.44269504088896341F), magic) - magic;
  f32x16 r = fma(n, f32x16::all(-0.693359375F), x);
  r = fma(n, f32x16::all(2.12194440e-4F), r);
  f32x16 p = f32x16::all(1.9875691500e-4F);
  p = fma(p, r, f32x16::all(1.3981999507e-3F));
  p = fma(p, r, f32x16::all(8.3334519073e-3F));
  p = fma(p, r, f32x16::all(4.1665795894e-2F));
  p = fma(p, r, f32x16::all(1.6666665459e-1F));
  p = fma(p, r, f32x16::all(5.0000001201e-1F));
  p = fma(p, r * r, r) + f32x16::all(1.0F);
  return times_power_of_two(p, n);
}

void rms_norm(const float* x, const float* weight, float epsilon, float* y, int n) {
  f32x16 squares = f32x16::zero();
  for_lanes(
      n, [&](int i, int some) __attribute__((always_inline)) {
        const f32x16 v = load_some(x + i, some);
        squares = fma(v, v, squares);
      });
  const float mean = sum_of(squares) / static_cast<float>(n);
  const f32x16 factor = f32x16::all(1.0F / __builtin_sqrtf(mean + epsilon));
  for_lanes(
      n, [&](int i, int some) __attribute__((always_inline)) {
        store_some(load_some(x + i, some) * factor * load_some(weight + i, some), y + i, some);
      });
}

void layer_norm(const float* x, const float* weight, const float* bias, float epsilon, float* y, int n) {
  f32x16 sums = f32x16::zero();
  for_lanes(
      n, [&](int i, int some) __attribute__((always_inline)) { sums = sums + load_some(x + i, some); });
  const float mean = sum_of(sums) / static_cast<float>(n);
  f32x16 squares = f32x16::zero();
  for_lanes(
      n, [&](int i, int some) __attribute__((always_inline)) {
        const f32x16 v = load_some(x + i, some, mean) - f32x16::all(mean);
        squares = fma(v, v, squares);
      });
  const float variance = sum_of(squares) / static_cast<float>(n);
  const f32x16 factor = f32x16::all(1.0F / __builtin_sqrtf(variance + epsilon));
  for_lanes(
      n, [&](int i, int some) __attribute__((always_inline)) {
        const f32x16 v = (load_some(x + i, some) - f32x16::all(mean)) * factor;
        store_some(fma(v, load_some(weight + i, some), load_some(bias + i, some)), y + i, some);
      });
}

/// 1 - Φ(z) for z ≥ 0 to 8e-8: half of 1 - erf(z / sqrt(2)). Source: Abramowitz and Stegun 1964, 7.1.26.
SOUFFLEUR_INLINE f32x16 upper_tail(f32x16 z) {
  const f32x16 one = f32x16::all(1.0F);
  const f32x16 t = one / fma(z, f32x16::all(0.3275911F * 0.70710678F), one);
  f32x16 p = f32x16::all(1.061405429F / 2);
  p = fma(p, t, f32x16::all(-1.453152027F / 2));
  p = fma(p, t, f32x16::all(1.421413741F / 2));
  p = fma(p, t, f32x16::all(-0.284496736F / 2));
  p = fma(p, t, f32x16::all(0.254829592F / 2));
  return p * t * exp_of(z * z * f32x16::all(-0.5F));
}

void gelu(const float* x, float* y, int n) {
  for_lanes(
      n, [&](int i, int some) __attribute__((always_inline)) {
        const f32x16 v = load_some(x + i, some);
        const f32x16 size = abs(v);
        store_some(max(v, f32x16::zero()) - size * upper_tail(size), y + i, some);
      });
}

template <activation Kind>
SOUFFLEUR_INLINE f32x16 activated(f32x16 x) {
  const f32x16 one = f32x16::all(1.0F);
  if constexpr (Kind == activation::silu)
    return x / (one + exp_of(f32x16::zero() - x));
  // x (1 + tanh(u)) / 2 = x (1 - 1 / (1 + e^2u)) with u = sqrt(2 / pi) (x + 0.044715 x^3)
  const f32x16 twice =
      x * fma(x * x, f32x16::all(2 * 0.7978845608F * 0.044715F), f32x16::all(2 * 0.7978845608F));
  return x * (one - one / (one + exp_of(twice)));
}

template <activation Kind>
void gate_with(const float* gate, const float* up, float* y, int n) {
  for_lanes(
      n, [&](int i, int some) __attribute__((always_inline)) {
        store_some(activated<Kind>(load_some(gate + i, some)) * load_some(up + i, some), y + i, some);
      });
}

void gate(activation kind, const float* gate, const float* up, float* y, int n) {
  kind == activation::silu ? gate_with<activation::silu>(gate, up, y, n)
                           : gate_with<activation::gelu_tanh>(gate, up, y, n);
}

void rotate(float* x, const float* cosines, const float* sines, int half) {
  for_lanes(
      half, [&](int i, int some) __attribute__((always_inline)) {
        const f32x16 a = load_some(x + i, some);
        const f32x16 b = load_some(x + half + i, some);
        const f32x16 cosine = load_some(cosines + i, some);
        const f32x16 sine = load_some(sines + i, some);
        store_some(fma(a, cosine, f32x16::zero() - b * sine), x + i, some);
        store_some(fma(a, sine, b * cosine), x + half + i, some);
      });
}

/// The fast Walsh-Hadamard transform. Additions alone: every instruction set gives the same bits.
void spread(float* x, int n) {
  const float factor = 1.0F / __builtin_sqrtf(static_cast<float>(n));
  for (int step = 1; step < n; step *= 2)
    for (int begin = 0; begin < n; begin += 2 * step)
      for (int i = begin; i < begin + step; ++i) {
        const float a = x[i];
        const float b = x[i + step];
        x[i] = a + b;
        x[i + step] = a - b;
      }
  for (int i = 0; i < n; ++i)
    x[i] *= factor;
}

float dot(const float* x, const float* y, int n) {
  // Several sums, so that one addition need not wait for the one before.
  constexpr int n_sums = 4;
  f32x16 sums[n_sums] = {f32x16::zero(), f32x16::zero(), f32x16::zero(), f32x16::zero()};
  int i = 0;
  for (; i + n_sums * lanes <= n; i += n_sums * lanes)
    for (int j = 0; j < n_sums; ++j)
      sums[j] = fma(f32x16::load(x + i + j * lanes), f32x16::load(y + i + j * lanes), sums[j]);
  for_lanes(
      n - i, [&](int k, int some) __attribute__((always_inline)) {
        sums[0] = fma(load_some(x + i + k, some), load_some(y + i + k, some), sums[0]);
      });
  return sum_of((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

void round_row(const float* x, const activation_panel& panel, int row) {
  const int n_blocks = panel.n_in / block_values;
  const int n_rows = panel.n_rows;
  for (int b = 0; b < n_blocks; ++b, x += block_values) {
    const f32x16 low = f32x16::load(x);
    const f32x16 high = f32x16::load(x + lanes);
    const float largest = largest_of(max(abs(low), abs(high)));
    const float scale = largest / 127.0F;
    const f32x16 inverse = f32x16::all(largest > 1e-30F ? 127.0F / largest : 0.0F);
    alignas(32) std::int8_t q[block_values];
    int sums[2];
    round_to_int8(low * inverse, high * inverse, q, sums);
    std::int8_t* to = panel.quants + (static_cast<std::ptrdiff_t>(b) * 8 * n_rows + row) * 4;
    for (int chunk = 0; chunk < 8; ++chunk)
      __builtin_memcpy(to + static_cast<std::ptrdiff_t>(chunk) * n_rows * 4, q + 4 * chunk, 4);
    const std::ptrdiff_t at = static_cast<std::ptrdiff_t>(b) * n_rows + row;
    panel.scales[at] = scale;
    panel.sums[at] = scale * static_cast<float>(sums[0] + sums[1]);
    std::int32_t* negative = panel.negative_sums + static_cast<std::ptrdiff_t>(b) * 3 * n_rows + row;
    negative[0] = -(sums[0] + sums[1]);
    negative[n_rows] = -sums[0];
    negative[2 * n_rows] = -sums[1];
  }
}

void store_tile(const float* tile, int n_rows, const float* bias, bool accumulate, float* y,
                std::ptrdiff_t stride) {
  const f32x16 added = bias ? f32x16::load(bias) : f32x16::zero();
  for (int r = 0; r < n_rows; ++r, tile += lanes, y += stride) {
    const f32x16 product = f32x16::load(tile) + added;
    (accumulate ? f32x16::load(y) + product : product).store(y);
  }
}

} // namespace
} // namespace souffleur
