#include "engine/kernels/kv_layer.hpp"

#include "engine/dequantize.hpp"

#include <cstring>

namespace souffleur {

namespace {

/// Value `i` of what lies at `from`, without its scale.
float value_at(const std::byte* from, std::ptrdiff_t i, kv_type type) {
  switch (type) {
  case kv_type::f32: {
    float value;
    std::memcpy(&value, from + 4 * i, sizeof value);
    return value;
  }
  case kv_type::f16: {
    std::uint16_t bits;
    std::memcpy(&bits, from + 2 * i, sizeof bits);
    return half_to_float(bits);
  }
  case kv_type::int8:
    return static_cast<float>(static_cast<std::int8_t>(from[i]));
  }
  return 0;
}

} // namespace

void read_kv(const kv_layer& layer, page_id page, int slot, float* keys, float* values) {
  for (int h = 0; h < layer.n_kv_heads; ++h) {
    const auto* head_keys = layer.keys + layer.head_offset(page, h);
    const auto* head_values = layer.values + layer.head_offset(page, h);
    const bool has_scales = layer.type == kv_type::int8;
    const float value_scale = has_scales ? layer.value_scales_of(page, h)[slot] : 1;
    for (int i = 0; i < layer.head_dim; ++i) {
      const float key_scale =
          has_scales ? layer.key_scales_of(page, h)[i / key_scale_values * page_tokens + slot] : 1;
      *keys++ = value_at(head_keys, std::ptrdiff_t{i} * page_tokens + slot, layer.type) * key_scale;
      *values++ = value_at(head_values, std::ptrdiff_t{slot} * layer.head_dim + i, layer.type) * value_scale;
    }
  }
}

} // namespace souffleur
