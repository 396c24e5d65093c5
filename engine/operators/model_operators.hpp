// The forward pass as libtorch operators: `souffleur::*` in the dispatcher, and the same names in plain ATen
// under `souffleur_reference::*`, which is also what a device without kernels of its own falls back to.
#pragma once

#include "engine/kernels/activation.hpp"
#include "engine/operators/packed_linear.hpp"

#include <ATen/core/Tensor.h>

namespace souffleur {

/// Where the rows of a batch stand. All int32.
struct batch_layout {
  at::Tensor sequences;  ///< (n_rows,): index of the row's sequence in page_table
  at::Tensor positions;  ///< (n_rows,)
  at::Tensor page_table; ///< (n_sequences, most pages): page of position p is [sequence][p / page_tokens]
};

/// One layer's part of the KV pool, laid out as kv_layer says: keys (n_pages, n_kv_heads, head_dim,
/// page_tokens), values (n_pages, n_kv_heads, page_tokens, head_dim).
struct kv_tensors {
  at::Tensor keys;
  at::Tensor values;
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
  /// out (n, n_out) = x (n, n_in) W^T + bias, or added to what `out` has.
  void quantized_linear(const at::Tensor& x, const packed_linear_ptr& weight, bool accumulate,
                        at::Tensor& out) const;
  /// out = x / rms(x) * weight for every vector (m,) of x (n, ..., m); out may be x. Source: Zhang and
  /// Sennrich 2019.
  void rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon, at::Tensor& out) const;
  /// Rotates heads (n, n_heads, head_dim) in place to their positions (n,). cosines, sines: (n_context,
  /// head_dim / 2). Source: Su et al. 2021.
  void rope(const at::Tensor& positions, const at::Tensor& cosines, const at::Tensor& sines, bool interleaved,
            at::Tensor& heads) const;
  /// Stores keys and values (n, n_kv_heads, head_dim) of the rows.
  void write_kv(const at::Tensor& keys, const at::Tensor& values, const batch_layout& batch,
                kv_tensors& kv) const;
  /// out (n, n_heads, head_dim): each row of q (n, n_heads, head_dim) over the last `window` positions up to
  /// its own (0: over all), scores multiplied by `scale` before the softmax.
  void paged_attention(const at::Tensor& q, const kv_tensors& kv, const batch_layout& batch,
                       std::int64_t window, double scale, at::Tensor& out) const;
  /// out (n, m) = f(first half) * second half of gate_up (n, 2 m). Source: Shazeer 2020.
  void gated_activation(const at::Tensor& gate_up, activation f, at::Tensor& out) const;

private:
  struct handles;
  const handles* handles_;
};

} // namespace souffleur
