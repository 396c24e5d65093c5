// Matrices of weights times a few or many rows of activations.
#pragma once

#include "engine/kernels/isa.hpp"
#include "engine/kernels/kernel_table.hpp"
#include "engine/kernels/packed_matrix.hpp"
#include "engine/kernels/thread_team.hpp"

#include <cstddef>
#include <optional>
#include <span>

namespace souffleur {

/// x (n_rows, n_in), rows `stride` apart; divided by their rms and multiplied with `norm` if there is one.
struct matmul_input {
  const float* x = nullptr;
  std::ptrdiff_t stride = 0;
  int n_rows = 0;
  const float* norm = nullptr; ///< (n_in,)
  float epsilon = 0;
};

/// y (n_rows, n_out), rows `stride` apart, and what becomes of a product on its way there.
struct matmul_output {
  float* y = nullptr;
  std::ptrdiff_t stride = 0;
  const float* bias = nullptr;      ///< (n_out,), added to the product; null: none
  bool accumulate = false;          ///< y += product + bias instead of y = product + bias
  std::optional<activation> gate{}; ///< y = act(gate's product) * up's; no bias
};

/// The products of all matrices of `stack` with the input, side by side in y: n_out is the sum of theirs.
/// With a gate it is half of that, and the stack is a gated matrix, or gate and up of equal size. Rows are
/// rounded to int8 per block of 32 for quantised weights; sums over the inputs of a block are exact. A row's
/// result is bit-identical for any n_rows and any number of threads: its operations and their order do not
/// depend on its neighbours. REQUIRES: equal n_in.
void matmul(std::span<const packed_matrix> stack, const matmul_input& input, const matmul_output& output,
            thread_team& team, isa level);

} // namespace souffleur
