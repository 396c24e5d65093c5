// Rows of activations as the quantised kernels read them.
#pragma once

#include "engine/kernels/packed_matrix.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace souffleur {

/// Some rows that go through a kernel together, rounded to int8 per block of 32 inputs (x = scale * q) and
/// interleaved so that a kernel reads them front to back. Also the rows themselves, for float weights.
struct activation_panel {
  int n_rows = 0;
  int n_in = 0;
  std::int8_t* quants = nullptr; ///< (n_blocks, 8, n_rows, 4)
  float* scales = nullptr;       ///< (n_blocks, n_rows)
  float* sums = nullptr;         ///< (n_blocks, n_rows): scale * sum of q
  std::int32_t* negative_sums =
      nullptr;                 ///< (n_blocks, 3, n_rows): minus the sum of q, of all and of each half
  const float* rows = nullptr; ///< (n_rows, n_in), rows `stride` apart
  std::ptrdiff_t stride = 0;
};

/// The rows of one product, cut into panels. How a row is rounded does not depend on its panel. Keeps its
/// storage from use to use.
class activations {
public:
  /// Makes room for `n_rows` rows in panels of at most `max_panel_rows`, as equal as can be: small ones use
  /// the weights that they unpack badly. `n_in` is a multiple of 32, or no row is rounded.
  void resize(int n_rows, int n_in, int max_panel_rows);
  /// The rows themselves: not copied.
  void set_rows(const float* rows, std::ptrdiff_t stride);

  int n_panels() const { return static_cast<int>(first_rows_.size()) - 1; }
  int first_row(int panel) const { return first_rows_[static_cast<std::size_t>(panel)]; }
  activation_panel panel(int index);

private:
  int n_in_ = 0;
  std::vector<int> first_rows_; ///< of every panel, then n_rows
  std::vector<std::int8_t> quants_;
  std::vector<float> scales_;
  std::vector<float> sums_;
  std::vector<std::int32_t> negative_sums_;
  const float* rows_ = nullptr;
  std::ptrdiff_t stride_ = 0;
};

} // namespace souffleur
