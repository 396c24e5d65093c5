// Where one layer's keys and values live.
#pragma once

#include "policies/token.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace souffleur {

/// int8: of a position and head, the values share a scale, and so do each 32 of the keys, some of whose
/// dimensions are far larger than the others in models with biases. The others are rounded as they are.
enum class kv_type : std::uint8_t { f32, f16, int8 };

constexpr std::string_view to_string(kv_type type) {
  return type == kv_type::f32 ? "f32" : type == kv_type::f16 ? "f16" : "int8";
}

/// Of f32, f16 or int8.
constexpr std::optional<kv_type> kv_type_named(std::string_view name) {
  for (const auto type : {kv_type::f32, kv_type::f16, kv_type::int8})
    if (name == to_string(type))
      return type;
  return std::nullopt;
}

constexpr std::size_t bytes_per_value(kv_type type) {
  return type == kv_type::f32 ? 4 : type == kv_type::f16 ? 2 : 1;
}

/// Whether queries and keys are multiplied by a Hadamard matrix before keys are rounded.
constexpr bool has_spread_keys(kv_type type, int head_dim) {
  return type == kv_type::int8 && (head_dim & (head_dim - 1)) == 0;
}

constexpr int key_scale_values = 32;
constexpr int n_key_scales(int head_dim) { return (head_dim + key_scale_values - 1) / key_scale_values; }
/// Of a head's keys and values at one position.
constexpr int n_head_scales(kv_type type, int head_dim) {
  return type == kv_type::int8 ? n_key_scales(head_dim) + 1 : 0;
}

/// Per page and kv head K is (head_dim, page_tokens) and V is (page_tokens, head_dim), so that the inner
/// loops of attention run over contiguous values without a reduction. Pages and heads may lie apart.
struct kv_layer {
  std::byte* keys = nullptr;
  std::byte* values = nullptr;
  std::ptrdiff_t page_stride_bytes = 0;
  std::ptrdiff_t head_stride_bytes = 0;
  float* key_scales = nullptr;         ///< (n_kv_heads, n_key_scales, page_tokens) a page; int8 only
  float* value_scales = nullptr;       ///< (n_kv_heads, page_tokens) a page; int8 only
  std::ptrdiff_t key_scale_stride = 0; ///< from page to page, in floats
  std::ptrdiff_t value_scale_stride = 0;
  kv_type type = kv_type::f32;
  int n_kv_heads = 0;
  int head_dim = 0; ///< a multiple of 16, at most max_head_dim

  std::ptrdiff_t head_offset(page_id page, int kv_head) const {
    return page * page_stride_bytes + kv_head * head_stride_bytes;
  }
  float* key_scales_of(page_id page, int kv_head) const {
    return key_scales + page * key_scale_stride +
           static_cast<std::ptrdiff_t>(kv_head) * n_key_scales(head_dim) * page_tokens;
  }
  float* value_scales_of(page_id page, int kv_head) const {
    return value_scales + page * value_scale_stride + static_cast<std::ptrdiff_t>(kv_head) * page_tokens;
  }
};

/// One position's keys and values as they are stored, both (n_kv_heads, head_dim).
void read_kv(const kv_layer& layer, page_id page, int slot, float* keys, float* values);

} // namespace souffleur
