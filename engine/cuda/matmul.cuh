// What the kernels for products share. A block of threads has the sixteen output rows of a tile, and its
// warps share out the sums_for() sums of each product.
#pragma once

#include "engine/cuda/weight_stream.cuh"

#include <algorithm>

namespace souffleur::cuda {

/// Which of a product's sums a warp has: in pairs, since neighbouring blocks lie side by side in memory. Warp
/// w has 2 w and 2 w + 1, and if there are more, also those half of all sums further, which come first when
/// sums are added up.
template <int n_sums>
struct sum_dealing {
  static constexpr int n_warps = n_sums == 32 ? 8 : 4;
  static constexpr int n_threads = n_warps * warp_lanes;
  static constexpr int n_pairs = n_sums / n_warps / 2; ///< of a warp
  static_assert(n_pairs == 1 || n_pairs == 2);
  /// After the first block of a round of n_sums.
  __device__ static int block_of(int warp, int pair, int of_pair) {
    return 2 * warp + of_pair + pair * (n_sums / 2);
  }
};

/// Output rows `output` and the next, where they are there. REQUIRES: `output` is even.
__device__ inline void store_outputs(const matmul_call& call, int row, int output, float first,
                                     float second) {
  const int n_out = call.weights.n_out;
  float* y = call.y + static_cast<std::ptrdiff_t>(row) * call.y_stride;
  if (call.is_gated) {
    if (output < n_out)
      y[output / 2] = activated(call.gate, first) * second;
    return;
  }
  const float values[] = {first, second};
  SOUFFLEUR_UNROLL
  for (int i = 0; i < 2; ++i)
    if (output + i < n_out) {
      const float value = call.bias ? values[i] + call.bias[output + i] : values[i];
      y[output + i] = call.accumulate ? y[output + i] + value : value;
    }
}

/// Sums on their way from the warps that have them to the threads that add them up.
template <int n_sums, int n_rows>
class sum_exchange {
public:
  using dealing = sum_dealing<n_sums>;
  static constexpr int n_left = 2 * dealing::n_warps; ///< after the first step, where both were one warp's

  /// `sum` of input row `row` and output `output` is the one of this warp's pairs, added up.
  __device__ void put(int warp, int of_pair, int row, int output, float sum) {
    sums_[2 * warp + of_pair][row][output] = sum;
  }

  /// All threads, after __syncthreads().
  __device__ void store(const matmul_call& call, int first_row, int first_output) const {
    for (int i = static_cast<int>(threadIdx.x); i < n_rows * tile_outputs / 2; i += dealing::n_threads) {
      const int row = i / (tile_outputs / 2);
      const int output = 2 * (i % (tile_outputs / 2));
      if (first_row + row < call.n_rows)
        store_outputs(call, first_row + row, first_output + output, total(row, output),
                      total(row, output + 1));
    }
  }

private:
  /// In pairs, from far to near.
  __device__ float total(int row, int output) const {
    float sums[n_left];
    SOUFFLEUR_UNROLL
    for (int i = 0; i < n_left; ++i)
      sums[i] = sums_[i][row][output];
    SOUFFLEUR_UNROLL
    for (int step = n_left / 2; step > 0; step /= 2) {
      SOUFFLEUR_UNROLL
      for (int i = 0; i < step; ++i)
        sums[i] += sums[i + step];
    }
    return sums[0];
  }

  float sums_[n_left][n_rows][tile_outputs + 1]; ///< padded against bank conflicts
};

/// A block multiplies some input rows, number blockIdx.x, with the sixteen output rows of tile blockIdx.y.
/// The memory of the stages has the sums in the end.
template <class Product, tensor_type T>
__global__ void __launch_bounds__(Product::dealing::n_threads)
    multiply_quantised(const __grid_constant__ matmul_call call) {
  extern __shared__ __align__(128) std::uint8_t memory[];
  __shared__ copy_barrier barriers[most_stages];
  weight_stream<T> weights{call.weights, static_cast<int>(blockIdx.y) * tile_outputs, memory, barriers};
  weights.begin();
  wait_for_inputs();
  Product{call}.run(weights, *reinterpret_cast<typename Product::exchange*>(memory));
}

template <class Product, tensor_type T>
void launch_product(const launch_queue& queue, const matmul_call& call) {
  constexpr auto kernel = multiply_quantised<Product, T>;
  constexpr auto exchange_bytes = static_cast<int>(sizeof(typename Product::exchange));
  constexpr int most_bytes = std::max(most_stages * stage_layout<T>::n_bytes, exchange_bytes);
  static const auto is_allowed =
      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, most_bytes);
  static_cast<void>(is_allowed); // the launch fails where it is not
  const int n_stages = stages_for(call.weights.n_in / block_values);
  const auto n_bytes = std::max(n_stages * stage_layout<T>::n_bytes, exchange_bytes);
  const dim3 grid(blocks_for(call.n_rows, Product::n_rows), blocks_for(call.weights.n_out, tile_outputs));
  launch(queue, kernel, grid, Product::dealing::n_threads, static_cast<std::size_t>(n_bytes), call);
}

/// Runs `body.operator()<T, n_sums>()` for a quantised matrix.
template <class Body>
void with_sums(const device_matrix& weights, const Body& body) {
  with_quantised_format(weights.type, [&]<tensor_type T>() {
    switch (sums_for(weights.n_in)) {
    case 8:
      return body.template operator()<T, 8>();
    case 16:
      return body.template operator()<T, 16>();
    default:
      return body.template operator()<T, 32>();
    }
  });
}

/// One or two rows. REQUIRES: quantised weights.
void launch_multiply_few(const launch_queue& queue, const matmul_call& call);
/// Any number of rows, eight at a time. REQUIRES: quantised weights.
void launch_multiply_tiles(const launch_queue& queue, const matmul_call& call);
/// REQUIRES: weights that are not quantised.
void launch_multiply_real(const launch_queue& queue, const matmul_call& call);

} // namespace souffleur::cuda
