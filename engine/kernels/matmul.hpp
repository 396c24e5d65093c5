// Products of float activations with the quantised matrices of a GGUF file.
#pragma once

#include "engine/gguf.hpp"
#include "engine/kernels/isa.hpp"
#include "engine/kernels/thread_team.hpp"

#include <cstddef>
#include <memory>
#include <span>

namespace souffleur {

struct packed_layout;

/// A weight matrix (n_out rows, n_in columns), repacked once for the kernels of one instruction set.
/// Codes, scales and minima are those of the file: nothing is requantised. Copies share the (immutable)
/// weights.
class packed_matrix {
public:
  packed_matrix() = default;

  /// `src`: rows of GGUF blocks, row-major. REQUIRES: n_in a multiple of the type's block, `src` of matching
  /// size, cpu_has(level).
  static packed_matrix pack(tensor_type type, std::span<const std::byte> src, int n_out, int n_in, isa level);

  int n_out() const;
  int n_in() const;
  std::size_t size_bytes() const;

  /// For the kernels. REQUIRES: made by `pack`.
  const packed_layout& layout() const { return *layout_; }

private:
  std::shared_ptr<const packed_layout> layout_;
};

/// y[m][o] = sum over k of x[m][k] * W[o][k].
/// `x`: (n_rows, n_in) contiguous, finite; `y`: (n_rows, n_out), rows `y_stride` floats apart, not
/// overlapping `x`. Under quantised weights each 32 activations of a row are rounded to int8 with one scale
/// of their own. Invariant: a row's result is bit-identical for any n_rows, any place in the batch and any
/// size of the team.
void matmul(const packed_matrix& w, const float* x, int n_rows, float* y, std::ptrdiff_t y_stride,
            thread_team& team);

/// Dequantises one row of weights into `out` (n_in,): equal to `dequantize`. REQUIRES: 0 <= row < n_out.
void unpack_row(const packed_matrix& w, int row, float* out);

} // namespace souffleur
