// The functions behind the operators; registered in model_operators.cpp, which has their contracts.
#pragma once

#include "engine/operators/packed_linear.hpp"

#include <ATen/core/Tensor.h>

#define SOUFFLEUR_DECLARE_OPERATORS                                                                          \
  void embedding(const at::Tensor& tokens, const packed_linear_ptr& weight, at::Tensor& out);                \
  void quantized_linear(const at::Tensor& x, const packed_linear_ptr& weight, bool accumulate,               \
                        at::Tensor& out);                                                                    \
  void rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon, at::Tensor& out);             \
  void rope(const at::Tensor& positions, const at::Tensor& cosines, const at::Tensor& sines,                 \
            bool interleaved, at::Tensor& heads);                                                            \
  void write_kv(const at::Tensor& keys, const at::Tensor& values, const at::Tensor& sequences,               \
                const at::Tensor& positions, const at::Tensor& page_table, at::Tensor& key_pages,            \
                at::Tensor& value_pages);                                                                    \
  void paged_attention(const at::Tensor& q, const at::Tensor& key_pages, const at::Tensor& value_pages,      \
                       const at::Tensor& sequences, const at::Tensor& positions,                             \
                       const at::Tensor& page_table, std::int64_t window, double scale, at::Tensor& out);    \
  void gated_activation(const at::Tensor& gate_up, std::int64_t f, at::Tensor& out);

namespace souffleur::cpu_operators {
SOUFFLEUR_DECLARE_OPERATORS
}
namespace souffleur::reference_operators {
SOUFFLEUR_DECLARE_OPERATORS
}

#undef SOUFFLEUR_DECLARE_OPERATORS
