// Quantised matrix times a few or many rows of activations.
#pragma once

#include "engine/gguf.hpp"
#include "engine/kernels/isa.hpp"
#include "engine/kernels/thread_team.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace souffleur {

/// How eight interleaved rows are stored; see matmul.cpp.
enum class packed_layout : std::uint8_t { nibble, byte, real };

/// Weights W (n_out, n_in), repacked once: eight output rows interleaved, blocks of 32 inputs, scales widened
/// to float. Every weight value is kept exactly: w = scale * q + min.
class packed_matrix {
public:
  /// `source`: n_out rows of GGUF blocks. REQUIRES: n_in is a multiple of the type's block.
  static packed_matrix pack(tensor_type type, std::span<const std::byte> source, int n_out, int n_in);

  int n_out() const { return n_out_; }
  int n_in() const { return n_in_; }
  packed_layout layout() const { return layout_; }
  bool has_min() const { return has_min_; }
  int n_groups() const { return n_groups_; }
  std::size_t size_bytes() const { return data_.size(); }
  std::size_t block_bytes() const;
  const std::byte* row_group(int index) const;

private:
  int n_out_ = 0;
  int n_in_ = 0;
  packed_layout layout_ = packed_layout::real;
  bool has_min_ = false;
  int n_groups_ = 1; ///< scales per block of 32
  std::vector<std::byte> data_;
};

/// y[m][o] = sum over k of x[m][k] * W[o][k]. x is (n_rows, n_in), y is (n_rows, n_out) with rows `y_stride`
/// apart. Activations are rounded to int8 per block of 32 (not for float weights). A row's result is
/// bit-identical for any n_rows and any number of threads: its operations and their order do not depend on
/// its neighbours.
void matmul(const packed_matrix& weights, const float* x, int n_rows, float* y, std::ptrdiff_t y_stride,
            thread_team& team, isa level);

/// What becomes of a product besides being stored.
struct matmul_epilogue {
  const float* bias = nullptr; ///< (sum of n_out,), added to the product; null: none
  bool accumulate = false;     ///< y += product + bias instead of y = product + bias
};

/// The same for matrices that read one input, their outputs side by side in a row of y (n_rows, sum of
/// n_out): the activations are rounded once and the threads meet once. REQUIRES: equal n_in.
void matmul_stacked(std::span<const packed_matrix> stack, const float* x, int n_rows, float* y,
                    std::ptrdiff_t y_stride, const matmul_epilogue& epilogue, thread_team& team, isa level);

/// Row `row` of W, exactly as the GGUF has it; (n_in,).
void unpack_row(const packed_matrix& weights, int row, float* out);

} // namespace souffleur
