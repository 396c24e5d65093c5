// Quantised weights times one row or a few. A thread multiplies one output row's blocks: sixteen neighbours
// have the same block of the rows of a tile.
#include "engine/cuda/matmul.cuh"

namespace souffleur::cuda {

namespace {

/// A block of an input row.
struct input_block {
  std::uint32_t words[8];
  block_stats stats;
};

__device__ inline input_block load_input(const rounded_rows& x, std::ptrdiff_t place) {
  const auto* quants = reinterpret_cast<const uint4*>(x.quants + place * block_values);
  const uint4 low = quants[0];
  const uint4 high = quants[1];
  return {{low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w}, x.stats[place]};
}

template <tensor_type T, int n_sums, int rows>
class few_rows_product {
public:
  static constexpr int n_rows = rows;
  using dealing = sum_dealing<n_sums>;
  using exchange = sum_exchange<n_sums, n_rows>;

  __device__ explicit few_rows_product(const matmul_call& call) : call_(call) {}

  __device__ void run(weight_stream<T>& weights, exchange& sums) {
    for (int stage = 0; stage * stage_blocks < n_blocks_; ++stage) {
      input_block x[n_blocks_at_once][n_rows];
      SOUFFLEUR_UNROLL
      for (int i = 0; i < n_blocks_at_once; ++i) {
        SOUFFLEUR_UNROLL
        for (int r = 0; r < n_rows; ++r)
          x[i][r] =
              load_input(call_.x.rounded, input_place(r, min(block_of(stage, i), n_blocks_ - 1), n_blocks_));
      }
      const auto tile = weights.wait(stage);
      SOUFFLEUR_UNROLL
      for (int i = 0; i < n_blocks_at_once; ++i)
        if (block_of(stage, i) < n_blocks_)
          add_block(unpack<T>(load_block<T>(tile, output_, block_of(0, i))), x[i],
                    sums_[i % dealing::n_pairs]);
      weights.next(stage);
    }
    SOUFFLEUR_UNROLL
    for (int r = 0; r < n_rows; ++r) {
      float sum = sums_[0][r];
      if constexpr (dealing::n_pairs == 2)
        sum += sums_[1][r];
      sums.put(warp_, of_pair_, r, output_, sum);
    }
    __syncthreads();
    sums.store(call_, 0, first_output_);
  }

private:
  /// Of a stage, those of a thread.
  static constexpr int n_blocks_at_once = stage_blocks / n_sums * dealing::n_pairs;

  __device__ int block_of(int stage, int i) const {
    return stage * stage_blocks + i / dealing::n_pairs * n_sums +
           dealing::block_of(warp_, i % dealing::n_pairs, of_pair_);
  }

  __device__ static void add_block(const unpacked_block<T>& block, const input_block (&x)[n_rows],
                                   float (&sums)[n_rows]) {
    SOUFFLEUR_UNROLL
    for (int r = 0; r < n_rows; ++r)
      sums[r] = add_product<T>(sums[r], block, x[r].words, x[r].stats);
  }

  const matmul_call& call_;
  int n_blocks_ = call_.weights.n_in / block_values;
  int warp_ = static_cast<int>(threadIdx.x) / warp_lanes;
  int of_pair_ = static_cast<int>(threadIdx.x) % warp_lanes / tile_outputs;
  int output_ = static_cast<int>(threadIdx.x) % tile_outputs; ///< of the tile
  int first_output_ = static_cast<int>(blockIdx.y) * tile_outputs;
  float sums_[dealing::n_pairs][n_rows] = {};
};

} // namespace

void launch_multiply_few(const launch_queue& queue, const matmul_call& call) {
  with_sums(call.weights, [&]<tensor_type T, int n_sums>() {
    if (call.n_rows == 1)
      launch_product<few_rows_product<T, n_sums, 1>, T>(queue, call);
    else
      launch_product<few_rows_product<T, n_sums, 2>, T>(queue, call);
  });
}

} // namespace souffleur::cuda
