#include "engine/kernels/quant_block.hpp"

#include <cstring>

namespace souffleur {

namespace {

using bytes = const std::uint8_t*;

std::uint16_t half_bits(bytes p) {
  std::uint16_t bits = 0;
  std::memcpy(&bits, p, 2);
  return bits;
}

std::uint32_t word_at(bytes p) {
  std::uint32_t word = 0;
  std::memcpy(&word, p, 4);
  return word;
}

constexpr std::uint16_t sign_bit = 0x8000;

quant_block q8_block(bytes p) {
  quant_block b;
  b.scales.fill(half_bits(p));
  for (int i = 0; i < 32; ++i)
    b.q[i] = static_cast<std::uint8_t>(p[2 + i] + 128); // modulo 256: from int8 to an offset of 128
  return b;
}

quant_block q45_block(bytes p, bool has_min, bool has_fifth) {
  quant_block b;
  b.scales.fill(half_bits(p));
  if (has_min)
    b.mins.fill(half_bits(p + 2));
  p += has_min ? 4 : 2;
  const std::uint32_t fifth = has_fifth ? word_at(p) : 0;
  p += has_fifth ? 4 : 0;
  for (int i = 0; i < 16; ++i) {
    b.q[i] = static_cast<std::uint8_t>((p[i] & 15) | (((fifth >> i) & 1U) << 4));
    b.q[i + 16] = static_cast<std::uint8_t>((p[i] >> 4) | (((fifth >> (i + 16)) & 1U) << 4));
  }
  return b;
}

quant_block q45_k_block(bytes p, int j, bool has_fifth) {
  quant_block b;
  b.super_scale = half_bits(p);
  b.super_min = half_bits(p + 2) ^ sign_bit; // K-quants subtract their mins
  bytes s = p + 4;
  b.scales.fill(j < 4 ? s[j] & 63 : (s[j + 4] & 15) | ((s[j - 4] >> 6) << 4));
  b.mins.fill(j < 4 ? s[j + 4] & 63 : (s[j + 4] >> 4) | ((s[j] >> 6) << 4));
  bytes low = p + (has_fifth ? 48 : 16) + 32 * (j / 2);
  for (int i = 0; i < 32; ++i) {
    const int fifth = has_fifth ? (p[16 + i] >> j) & 1 : 0;
    b.q[i] = static_cast<std::uint8_t>((j % 2 == 0 ? low[i] & 15 : low[i] >> 4) | (fifth << 4));
  }
  return b;
}

quant_block q6_k_block(bytes p, int j) {
  quant_block b;
  b.super_scale = half_bits(p + 208);
  for (int g = 0; g < 2; ++g)
    b.scales[g] = p[192 + 2 * j + g];
  const int half = j / 4;
  const int quarter = j % 4;
  for (int i = 0; i < 32; ++i) {
    const int byte = p[64 * half + 32 * (quarter % 2) + i];
    const int high = (p[128 + 32 * half + i] >> (2 * quarter)) & 3;
    b.q[i] = static_cast<std::uint8_t>((quarter < 2 ? byte & 15 : byte >> 4) | (high << 4));
  }
  return b;
}

quant_block q3_k_block(bytes p, int j) {
  quant_block b;
  b.super_scale = half_bits(p + 108);
  for (int g = 0; g < 2; ++g) {
    const int s = 2 * j + g;
    const int low = s < 8 ? p[96 + s] & 15 : p[96 + s - 8] >> 4;
    const int high = (p[104 + s % 4] >> (2 * (s / 4))) & 3;
    b.scales[g] = static_cast<std::uint8_t>((low | (high << 4)) - 32);
  }
  for (int i = 0; i < 32; ++i) {
    const int low = (p[32 + 32 * (j / 4) + i] >> (2 * (j % 4))) & 3;
    b.q[i] = static_cast<std::uint8_t>(low | (((p[i] >> j) & 1) << 2));
  }
  return b;
}

quant_block q2_k_block(bytes p, int j) {
  quant_block b;
  b.super_scale = half_bits(p + 80);
  b.super_min = half_bits(p + 82) ^ sign_bit;
  for (int g = 0; g < 2; ++g) {
    b.scales[g] = p[2 * j + g] & 15;
    b.mins[g] = p[2 * j + g] >> 4;
  }
  for (int i = 0; i < 32; ++i)
    b.q[i] = (p[16 + 32 * (j / 4) + i] >> (2 * (j % 4))) & 3;
  return b;
}

} // namespace

quant_block read_quant_block(tensor_type type, const std::uint8_t* p, int index) {
  switch (type) {
  case tensor_type::q4_0:
    return q45_block(p, false, false);
  case tensor_type::q4_1:
    return q45_block(p, true, false);
  case tensor_type::q5_0:
    return q45_block(p, false, true);
  case tensor_type::q5_1:
    return q45_block(p, true, true);
  case tensor_type::q2_k:
    return q2_k_block(p, index);
  case tensor_type::q3_k:
    return q3_k_block(p, index);
  case tensor_type::q4_k:
    return q45_k_block(p, index, false);
  case tensor_type::q5_k:
    return q45_k_block(p, index, true);
  case tensor_type::q6_k:
    return q6_k_block(p, index);
  default:
    return q8_block(p);
  }
}

} // namespace souffleur
