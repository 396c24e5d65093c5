// The functions behind the operators; registered in model_operators.cpp, which has their contracts.
#pragma once

#include "engine/operators/packed_linear.hpp"

#include <ATen/core/Tensor.h>

/// X(name) for every operator.
#define SOUFFLEUR_OPERATORS(X)                                                                               \
  X(embedding) X(linear) X(gated_linear) X(rms_norm) X(rotate_and_store) X(turn_page) X(paged_attention)

#define SOUFFLEUR_DECLARE_OPERATORS                                                                          \
  void embedding(const at::Tensor& tokens, const packed_linear_ptr& weight, at::Tensor& out);                \
  void linear(const at::Tensor& x, const at::Tensor& norm, double epsilon, const packed_linear_ptr& weight,  \
              bool accumulate, at::Tensor& out);                                                             \
  void gated_linear(const at::Tensor& x, const at::Tensor& norm, double epsilon,                             \
                    const packed_linear_ptr& weight, std::int64_t f, at::Tensor& out);                       \
  void rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon, at::Tensor& out);             \
  void rotate_and_store(at::Tensor& heads, const at::Tensor& q_norm, const at::Tensor& k_norm,               \
                        double epsilon, const at::Tensor& cosines, const at::Tensor& sines,                  \
                        const at::Tensor& sequences, const at::Tensor& positions,                            \
                        const at::Tensor& page_table, const at::Tensor& copies, at::Tensor& key_pages,       \
                        at::Tensor& value_pages, at::Tensor& key_scales, at::Tensor& value_scales);          \
  void turn_page(std::int64_t from, std::int64_t to, const at::Tensor& cosines, const at::Tensor& sines,     \
                 at::Tensor& key_pages, at::Tensor& value_pages, at::Tensor& key_scales,                     \
                 at::Tensor& value_scales);                                                                  \
  void paged_attention(const at::Tensor& q, const at::Tensor& key_pages, const at::Tensor& value_pages,      \
                       const at::Tensor& key_scales, const at::Tensor& value_scales,                         \
                       const at::Tensor& sequences, const at::Tensor& positions,                             \
                       const at::Tensor& page_table, const at::Tensor& owners, std::int64_t window,          \
                       double scale, at::Tensor& out);

namespace souffleur::cpu_operators {
SOUFFLEUR_DECLARE_OPERATORS
}
namespace souffleur::reference_operators {
SOUFFLEUR_DECLARE_OPERATORS
}

#undef SOUFFLEUR_DECLARE_OPERATORS
