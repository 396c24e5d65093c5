// The forward pass as libtorch operators: `souffleur::*` in the dispatcher, and the same names in plain ATen
// under `souffleur_reference::*`, which is also what a device without kernels of its own falls back to.
#pragma once

#include "engine/kernels/activation.hpp"
#include "engine/operators/packed_linear.hpp"
#include "policies/token.hpp"

#include <ATen/Functions.h>
#include <ATen/core/Tensor.h>

namespace souffleur {

/// Where the rows of a batch stand among what their sequences keep. All int32.
struct batch_layout {
  at::Tensor sequences;  ///< (n_rows,): the row's line of page_table
  at::Tensor positions;  ///< (n_rows,), counted without what was dropped
  at::Tensor page_table; ///< (n_lines, most pages): page of position p is [line][p / page_tokens]
  /// (n_lines,): which lines are of one sequence, neighbours; empty: each is one of its own.
  at::Tensor owners = at::empty({0}, at::kInt);
  /// (n, 2): rows, and other lines of the sequence where their keys and values are stored, too.
  at::Tensor copies = at::empty({0, 2}, at::kInt);
};

/// One layer's part of the KV pool, laid out as kv_layer says: keys (n_pages, n_kv_heads, head_dim,
/// page_tokens), values (n_pages, n_kv_heads, page_tokens, head_dim).
/// float32, float16 or int8; int8 has scales, (n_pages, n_kv_heads, n_key_scales, page_tokens) and (n_pages,
/// n_kv_heads, page_tokens), the others empty tensors.
struct kv_tensors {
  at::Tensor keys;
  at::Tensor values;
  at::Tensor key_scales;
  at::Tensor value_scales;
};

/// What an input is multiplied with after division by its rms; an empty weight: nothing is done to it.
/// Source: Zhang and Sennrich 2019.
struct input_norm {
  at::Tensor weight;
  double epsilon = 0;
};

enum class operator_set : std::uint8_t { kernels, reference };

/// `reference` if the environment has SOUFFLEUR_ISA=reference, else `kernels`.
operator_set default_operator_set();

/// The operators, looked up once. Each writes to its last argument; all tensors are float32 unless said
/// otherwise, with a contiguous last dimension, and never carry gradients. A row's result depends on no other
/// row (kernels only).
class model_operators {
public:
  /// Registers the operators if no one has yet. `which` must not change between calls for one KV pool.
  explicit model_operators(operator_set which);

  /// out (n, n_in) = rows `tokens` (n,) int32 of the weights.
  void embedding(const at::Tensor& tokens, const packed_linear_ptr& weight, at::Tensor& out) const;
  /// out (n, n_out) = norm(x) W^T + bias for x (n, n_in), or added to what `out` has.
  void linear(const at::Tensor& x, const input_norm& norm, const packed_linear_ptr& weight, bool accumulate,
              at::Tensor& out) const;
  /// out (n, m) = f(norm(x) G^T) * (norm(x) U^T) for weights that are a stack of G and U, both (m, n_in).
  /// Source: Shazeer 2020.
  void gated_linear(const at::Tensor& x, const input_norm& norm, const packed_linear_ptr& weight,
                    activation f, at::Tensor& out) const;
  /// out (n, m) = norm(x); out may be x.
  void rms_norm(const at::Tensor& x, const input_norm& norm, at::Tensor& out) const;
  /// Of heads (n, n_heads + 2 n_kv_heads, head_dim): the queries and the keys are normed head by head where
  /// there are norms and rotated, in place; keys and values are stored. The pair (i, i + head_dim / 2) of a
  /// row turns by the angle whose cosine and sine (n, head_dim / 2) have. Source: Su et al. 2021. Where
  /// has_spread_keys, those are multiplied by the Hadamard matrix then.
  void rotate_and_store(at::Tensor& heads, const input_norm& q_norm, const input_norm& k_norm,
                        const at::Tensor& cosines, const at::Tensor& sines, const batch_layout& batch,
                        kv_tensors& kv) const;
  /// Page `to` becomes a copy of `from` whose keys are rotated on, by angles (1, head_dim / 2).
  void turn_page(page_id from, page_id to, const at::Tensor& cosines, const at::Tensor& sines,
                 kv_tensors& kv) const;
  /// out (n, n_heads, head_dim): each row of q (n, n_heads, head_dim) over the last `window` positions up to
  /// its own (0: over all), scores multiplied by `scale` before the softmax.
  void paged_attention(const at::Tensor& q, const kv_tensors& kv, const batch_layout& batch,
                       std::int64_t window, double scale, at::Tensor& out) const;

private:
  struct handles;
  const handles* handles_;
};

} // namespace souffleur
