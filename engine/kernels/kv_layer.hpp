// Where one layer's keys and values live.
#pragma once

#include "policies/token.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace souffleur {

/// int8: each position's keys, and its values, of a head share a scale. The others are rounded as they are.
enum class kv_type : std::uint8_t { f32, f16, int8 };

constexpr std::size_t bytes_per_value(kv_type type) {
  return type == kv_type::f32 ? 4 : type == kv_type::f16 ? 2 : 1;
}

/// Per page and kv head K is (head_dim, page_tokens) and V is (page_tokens, head_dim), so that the inner
/// loops of attention run over contiguous values without a reduction. Pages lie `page_stride_bytes` apart.
struct kv_layer {
  std::byte* keys = nullptr;
  std::byte* values = nullptr;
  std::ptrdiff_t page_stride_bytes = 0;
  float* key_scales = nullptr; ///< (n_kv_heads, page_tokens) a page; int8 only
  float* value_scales = nullptr;
  std::ptrdiff_t scale_page_stride = 0; ///< in floats
  kv_type type = kv_type::f32;
  int n_kv_heads = 0;
  int head_dim = 0; ///< a multiple of 16, at most max_head_dim

  std::ptrdiff_t head_offset(page_id page, int kv_head) const {
    return page * page_stride_bytes +
           kv_head * static_cast<std::ptrdiff_t>(head_dim * page_tokens * bytes_per_value(type));
  }
  std::ptrdiff_t scale_offset(page_id page, int kv_head) const {
    return page * scale_page_stride + static_cast<std::ptrdiff_t>(kv_head) * page_tokens;
  }
};

} // namespace souffleur
