// Repacked weights as libtorch's dispatcher passes them.
#pragma once

#include "engine/kernels/packed_matrix.hpp"

#include <ATen/core/ivalue.h>

#include <utility>
#include <vector>

namespace souffleur {

/// Matrices that read the same input, stacked along their outputs, and the bias of them all.
class packed_linear final : public torch::CustomClassHolder {
public:
  /// REQUIRES: at least one matrix, equal n_in; `bias` (sum of n_out,) or empty.
  explicit packed_linear(std::vector<packed_matrix> stack, std::vector<float> bias = {})
      : stack_(std::move(stack)), bias_(std::move(bias)) {
    for (const auto& matrix : stack_)
      n_out_ += matrix.n_out();
  }

  int n_in() const { return stack_.front().n_in(); }
  int n_out() const { return n_out_; }
  const std::vector<packed_matrix>& stack() const { return stack_; }
  const std::vector<float>& bias() const { return bias_; }

private:
  std::vector<packed_matrix> stack_;
  std::vector<float> bias_;
  int n_out_ = 0;
};

using packed_linear_ptr = c10::intrusive_ptr<packed_linear>;

} // namespace souffleur
