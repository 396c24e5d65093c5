// Made-up weights in GGUF's formats.
#pragma once

#include "engine/dequantize.hpp"

#include <cstring>
#include <random>
#include <vector>

namespace souffleur::testing {

/// Random quants under plausible scales: every byte random, then the half-precision scale fields overwritten.
inline std::vector<std::byte> random_blocks(tensor_type type, int n_values, std::mt19937& random) {
  const auto shape = block_shape_of(type);
  std::vector<std::byte> bytes(static_cast<std::size_t>(n_values / shape.n_values * shape.n_bytes));
  for (auto& byte : bytes)
    byte = static_cast<std::byte>(random() & 0xFFU);
  std::uniform_real_distribution<float> scale(-0.1F, 0.1F);
  const auto put_half = [&](std::size_t at) {
    const auto half = float_to_half(scale(random));
    std::memcpy(bytes.data() + at, &half, 2);
  };
  const auto n_bytes = static_cast<std::size_t>(shape.n_bytes);
  for (std::size_t at = 0; at < bytes.size(); at += n_bytes) {
    switch (type) {
    case tensor_type::f32: {
      const float value = scale(random);
      std::memcpy(bytes.data() + at, &value, 4);
      break;
    }
    case tensor_type::bf16:
      bytes[at + 1] = static_cast<std::byte>((random() & 0x80U) | 0x3DU);
      break;
    case tensor_type::q6_k:
      put_half(at + 208);
      break;
    case tensor_type::q3_k:
      put_half(at + 108);
      break;
    case tensor_type::q2_k:
      put_half(at + 80);
      put_half(at + 82);
      break;
    case tensor_type::q4_1:
    case tensor_type::q5_1:
    case tensor_type::q4_k:
    case tensor_type::q5_k:
      put_half(at);
      put_half(at + 2);
      break;
    default:
      put_half(at);
    }
  }
  return bytes;
}

inline std::vector<float> random_floats(int n, std::mt19937& random) {
  std::normal_distribution<float> normal;
  std::vector<float> values(static_cast<std::size_t>(n));
  for (auto& value : values)
    value = normal(random);
  return values;
}

} // namespace souffleur::testing
