// Values of quantised blocks, as the `gguf` package defines them.
#pragma once

#include "engine/gguf.hpp"

#include <span>

namespace souffleur {

/// Expands whole blocks. REQUIRES: bytes.size() / block bytes * block values == out.size(), supported type.
void dequantize(tensor_type type, std::span<const std::byte> bytes, std::span<float> out);

float half_to_float(std::uint16_t bits);
std::uint16_t float_to_half(float value);

} // namespace souffleur
