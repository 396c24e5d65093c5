// How kernels are started, and what they have in common.
#pragma once

#include "engine/cuda/arithmetic.hpp"
#include "engine/cuda/backend.hpp"

#include <cuda_runtime.h>

#include <utility>

namespace souffleur::cuda {

/// Where kernels run, in order. A kernel is started while the one before it still runs ("programmatic
/// dependent launch"), so each begins with wait_for_inputs(), in all its blocks: what is done before may only
/// touch weights.
struct launch_queue {
  cudaStream_t stream = nullptr;
  bool overlaps = true;
};

template <class... Parameters, class... Arguments>
void launch(const launch_queue& queue, void (*kernel)(Parameters...), dim3 grid, int n_threads,
            std::size_t shared_bytes, Arguments&&... arguments) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0)
    return;
  cudaLaunchAttribute overlap{};
  overlap.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  overlap.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = dim3(static_cast<unsigned>(n_threads));
  config.dynamicSmemBytes = shared_bytes;
  config.stream = queue.stream;
  config.attrs = &overlap;
  config.numAttrs = queue.overlaps ? 1 : 0;
  cudaLaunchKernelEx(&config, kernel, std::forward<Arguments>(arguments)...); // errors stick: take_error()
}

/// `n / each`, rounded up.
inline unsigned blocks_for(int n, int each) { return static_cast<unsigned>((n + each - 1) / each); }

__device__ inline void wait_for_inputs() {
#if __CUDA_ARCH__ >= 900
  cudaTriggerProgrammaticLaunchCompletion();
  cudaGridDependencySynchronize();
#endif
}

constexpr unsigned all_lanes = 0xFFFFFFFFU;

/// In pairs, from far to near. The same in all lanes.
__device__ inline float sum_of_lanes(float value) {
  SOUFFLEUR_UNROLL
  for (int step = warp_lanes / 2; step > 0; step /= 2)
    value += __shfl_xor_sync(all_lanes, value, step);
  return value;
}

__device__ inline float largest_of_lanes(float value) {
  SOUFFLEUR_UNROLL
  for (int step = warp_lanes / 2; step > 0; step /= 2)
    value = fmaxf(value, __shfl_xor_sync(all_lanes, value, step));
  return value;
}

/// A warp rounds block `block` of row `row`, a value each lane.
__device__ inline void round_block(float x, int row, int block, int n_blocks, const rounded_rows& out) {
  const int lane = static_cast<int>(threadIdx.x) % warp_lanes;
  const auto by = rounding_of(largest_of_lanes(fabsf(x)));
  const int q = rounded(x, by);
  int sum = q;
  SOUFFLEUR_UNROLL
  for (int step = 8; step > 0; step /= 2)
    sum += __shfl_xor_sync(all_lanes, sum, step);
  const int second_sum = __shfl_down_sync(all_lanes, sum, 16);
  const auto place = input_place(row, block, n_blocks);
  out.quants[place * block_values + lane] = static_cast<std::int8_t>(q);
  if (lane == 0)
    out.stats[place] = {by.scale, {static_cast<std::int16_t>(sum), static_cast<std::int16_t>(second_sum)}};
}

// The kernels' launchers, one file each.
void launch_embed(const launch_queue& queue, const device_matrix& weights, const std::int32_t* tokens,
                  int n_rows, float scale, float* x);
void launch_normalise(const launch_queue& queue, const norm_call& call);
void launch_multiply(const launch_queue& queue, const matmul_call& call);
void launch_rotate_and_store(const launch_queue& queue, const store_call& call);
void launch_turn(const launch_queue& queue, const turn_call& call);
void launch_attend(const launch_queue& queue, const attention_call& call);
void launch_choose(const launch_queue& queue, const argmax_call& call);
void launch_draw(const launch_queue& queue, const draw_call& call);
void launch_accept(const launch_queue& queue, const acceptance_call& call);
void launch_advance(const launch_queue& queue, const advance_call& call);

} // namespace souffleur::cuda
