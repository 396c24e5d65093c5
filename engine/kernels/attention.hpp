// Attention of query rows over paged keys and values, with online softmax.
#pragma once

#include "engine/kernels/isa.hpp"
#include "policies/token.hpp"

#include <cstddef>
#include <span>

namespace souffleur {

/// Where one layer's keys and values live: page-major, per page and kv head K is (head_dim, page_tokens) and
/// V is (page_tokens, head_dim), so that both inner loops run over contiguous floats without a reduction.
struct kv_layer {
  float* keys = nullptr;
  float* values = nullptr;
  int n_kv_heads = 0;
  int head_dim = 0;

  std::size_t block(page_id page, int kv_head) const {
    return (static_cast<std::size_t>(page) * static_cast<std::size_t>(n_kv_heads) +
            static_cast<std::size_t>(kv_head)) *
           static_cast<std::size_t>(head_dim) * page_tokens;
  }
};

/// Stores one position's key and value, both (n_kv_heads, head_dim).
void write_kv(const kv_layer& layer, page_id page, int slot, const float* key, const float* value);

/// out = softmax(q · K / sqrt(head_dim)) V over positions [0, n_positions) of `pages`, for the `n_heads`
/// query heads that share `kv_head`; q and out are (n_heads, head_dim). Pages are visited in order, so the
/// result depends on nothing but q and the positions' contents. Source: online softmax (Milakov and
/// Gimelshein 2018), FlashAttention (Dao et al. 2022).
void attend(const kv_layer& layer, std::span<const page_id> pages, int n_positions, int kv_head, int n_heads,
            const float* q, float* out, isa level);

/// y[i] = gate[i] * sigmoid(gate[i]) * up[i].
void swiglu(const float* gate, const float* up, float* y, int n);

/// y = x / rms(x) * weight; (n,). Source: Zhang and Sennrich 2019.
void rms_norm(const float* x, const float* weight, float epsilon, float* y, int n);

} // namespace souffleur
