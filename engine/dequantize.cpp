#include "engine/dequantize.hpp"

#include <bit>
#include <cmath>
#include <cstring>

namespace souffleur {

float half_to_float(std::uint16_t bits) {
  const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000U) << 16;
  const std::uint32_t exponent = (bits >> 10) & 0x1FU;
  const std::uint32_t fraction = bits & 0x3FFU;
  if (exponent == 0) {
    const float magnitude = std::ldexp(static_cast<float>(fraction), -24);
    return sign ? -magnitude : magnitude;
  }
  if (exponent == 31)
    return std::bit_cast<float>(sign | 0x7F800000U | (fraction << 13));
  return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (fraction << 13));
}

std::uint16_t float_to_half(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint16_t>((bits >> 16) & 0x8000U);
  const float magnitude = std::fabs(value);
  if (std::isnan(value))
    return sign | 0x7E00U;
  if (magnitude >= 65520.0F)
    return sign | 0x7C00U;
  if (magnitude < 6.103515625e-05F) // subnormal: multiples of 2^-24, ties to even as nearbyint rounds
    return sign | static_cast<std::uint16_t>(std::nearbyint(std::ldexp(magnitude, 24)));
  const std::uint32_t rounded = (bits & 0x7FFFFFFFU) + 0xFFFU + ((bits >> 13) & 1U);
  return sign | static_cast<std::uint16_t>((rounded - (112U << 23)) >> 13);
}

namespace {

using bytes = const std::uint8_t*;

float half_at(bytes p) {
  std::uint16_t bits = 0;
  std::memcpy(&bits, p, 2);
  return half_to_float(bits);
}

void q4_0(bytes p, float* y) {
  const float d = half_at(p);
  for (int i = 0; i < 16; ++i) {
    y[i] = d * static_cast<float>((p[2 + i] & 15) - 8);
    y[i + 16] = d * static_cast<float>((p[2 + i] >> 4) - 8);
  }
}

void q4_1(bytes p, float* y) {
  const float d = half_at(p);
  const float m = half_at(p + 2);
  for (int i = 0; i < 16; ++i) {
    y[i] = d * static_cast<float>(p[4 + i] & 15) + m;
    y[i + 16] = d * static_cast<float>(p[4 + i] >> 4) + m;
  }
}

/// The 32 five-bit values of a Q5_0 or Q5_1 block: low nibbles at `low`, fifth bits at `high`.
void five_bits(bytes low, bytes high, int* q) {
  std::uint32_t fifth = 0;
  std::memcpy(&fifth, high, 4);
  for (int i = 0; i < 16; ++i) {
    q[i] = (low[i] & 15) | static_cast<int>(((fifth >> i) & 1U) << 4);
    q[i + 16] = (low[i] >> 4) | static_cast<int>(((fifth >> (i + 16)) & 1U) << 4);
  }
}

void q5_0(bytes p, float* y) {
  int q[32];
  five_bits(p + 6, p + 2, q);
  const float d = half_at(p);
  for (int i = 0; i < 32; ++i)
    y[i] = d * static_cast<float>(q[i] - 16);
}

void q5_1(bytes p, float* y) {
  int q[32];
  five_bits(p + 8, p + 4, q);
  const float d = half_at(p);
  const float m = half_at(p + 2);
  for (int i = 0; i < 32; ++i)
    y[i] = d * static_cast<float>(q[i]) + m;
}

void q8_0(bytes p, float* y) {
  const float d = half_at(p);
  for (int i = 0; i < 32; ++i)
    y[i] = d * static_cast<float>(static_cast<std::int8_t>(p[2 + i]));
}

/// Six-bit scale and min of sub-block j of a Q4_K or Q5_K block.
void k_scale(bytes s, int j, int& scale, int& min) {
  if (j < 4) {
    scale = s[j] & 63;
    min = s[j + 4] & 63;
  } else {
    scale = (s[j + 4] & 15) | ((s[j - 4] >> 6) << 4);
    min = (s[j + 4] >> 4) | ((s[j] >> 6) << 4);
  }
}

void q4_k(bytes p, float* y) {
  const float d = half_at(p);
  const float dmin = half_at(p + 2);
  for (int j = 0; j < 8; ++j) {
    int scale = 0;
    int min = 0;
    k_scale(p + 4, j, scale, min);
    bytes q = p + 16 + 32 * (j / 2);
    for (int i = 0; i < 32; ++i) {
      const int value = j % 2 == 0 ? q[i] & 15 : q[i] >> 4;
      y[32 * j + i] =
          (d * static_cast<float>(scale)) * static_cast<float>(value) - dmin * static_cast<float>(min);
    }
  }
}

void q5_k(bytes p, float* y) {
  const float d = half_at(p);
  const float dmin = half_at(p + 2);
  bytes high = p + 16;
  for (int j = 0; j < 8; ++j) {
    int scale = 0;
    int min = 0;
    k_scale(p + 4, j, scale, min);
    bytes q = p + 48 + 32 * (j / 2);
    for (int i = 0; i < 32; ++i) {
      const int value = (j % 2 == 0 ? q[i] & 15 : q[i] >> 4) | (((high[i] >> j) & 1) << 4);
      y[32 * j + i] =
          (d * static_cast<float>(scale)) * static_cast<float>(value) - dmin * static_cast<float>(min);
    }
  }
}

void q6_k(bytes p, float* y) {
  const float d = half_at(p + 208);
  for (int i = 0; i < 256; ++i) {
    const int half = i / 128;
    const int quarter = (i % 128) / 32;
    const int low_byte = p[64 * half + 32 * (quarter % 2) + i % 32];
    const int low = quarter < 2 ? low_byte & 15 : low_byte >> 4;
    const int high = (p[128 + 32 * half + i % 32] >> (2 * quarter)) & 3;
    const auto scale = static_cast<std::int8_t>(p[192 + i / 16]);
    y[i] = (d * static_cast<float>(scale)) * static_cast<float>((low | (high << 4)) - 32);
  }
}

void q2_k(bytes p, float* y) {
  const float d = half_at(p + 80);
  const float dmin = half_at(p + 82);
  for (int i = 0; i < 256; ++i) {
    const int scale = p[i / 16];
    const int q = (p[16 + 32 * (i / 128) + i % 32] >> (2 * ((i % 128) / 32))) & 3;
    y[i] =
        (d * static_cast<float>(scale & 15)) * static_cast<float>(q) - dmin * static_cast<float>(scale >> 4);
  }
}

void q3_k(bytes p, float* y) {
  const float d = half_at(p + 108);
  bytes scales = p + 96;
  for (int i = 0; i < 256; ++i) {
    const int s = i / 16;
    const int low = s < 8 ? scales[s] & 15 : scales[s - 8] >> 4;
    const int scale = (low | (((scales[8 + s % 4] >> (2 * (s / 4))) & 3) << 4)) - 32;
    const int q = (p[32 + 32 * (i / 128) + i % 32] >> (2 * ((i % 128) / 32))) & 3;
    const bool has_high = ((p[i % 32] >> (i / 32)) & 1) != 0;
    y[i] = (d * static_cast<float>(scale)) * static_cast<float>(q - (has_high ? 0 : 4));
  }
}

void one_f32(bytes p, float* y) { std::memcpy(y, p, 4); }
void one_f16(bytes p, float* y) { *y = half_at(p); }
void one_bf16(bytes p, float* y) {
  std::uint16_t bits = 0;
  std::memcpy(&bits, p, 2);
  *y = std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

using expander = void (*)(bytes, float*);
expander expander_of(tensor_type type) {
  switch (type) {
  case tensor_type::f32:
    return one_f32;
  case tensor_type::f16:
    return one_f16;
  case tensor_type::bf16:
    return one_bf16;
  case tensor_type::q4_0:
    return q4_0;
  case tensor_type::q4_1:
    return q4_1;
  case tensor_type::q5_0:
    return q5_0;
  case tensor_type::q5_1:
    return q5_1;
  case tensor_type::q8_0:
    return q8_0;
  case tensor_type::q2_k:
    return q2_k;
  case tensor_type::q3_k:
    return q3_k;
  case tensor_type::q4_k:
    return q4_k;
  case tensor_type::q5_k:
    return q5_k;
  case tensor_type::q6_k:
    return q6_k;
  }
  return nullptr;
}

} // namespace

void dequantize(tensor_type type, std::span<const std::byte> packed, std::span<float> out) {
  const auto shape = block_shape_of(type);
  const auto expand = expander_of(type);
  const auto* p = reinterpret_cast<bytes>(packed.data());
  float* y = out.data();
  for (std::size_t n = packed.size() / static_cast<std::size_t>(shape.n_bytes); n > 0; --n) {
    expand(p, y);
    p += shape.n_bytes;
    y += shape.n_values;
  }
}

} // namespace souffleur
