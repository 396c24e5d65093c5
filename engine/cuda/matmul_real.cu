// Weights that are not quantised times some rows. A warp has two output rows, a lane every 32nd four inputs
// of them.
#include "engine/cuda/matmul.cuh"

namespace souffleur::cuda {

namespace {

constexpr int block_threads = 64;

__device__ inline float4 four_at(const float* from) { return *reinterpret_cast<const float4*>(from); }
__device__ inline float4 four_at(const __half* from) {
  const uint2 words = *reinterpret_cast<const uint2*>(from);
  const float2 low = __half22float2(*reinterpret_cast<const __half2*>(&words.x));
  const float2 high = __half22float2(*reinterpret_cast<const __half2*>(&words.y));
  return {low.x, low.y, high.x, high.y};
}

__device__ inline float add_product(float sum, const float4& a, const float4& b) {
  sum = fmaf(a.x, b.x, sum);
  sum = fmaf(a.y, b.y, sum);
  sum = fmaf(a.z, b.z, sum);
  return fmaf(a.w, b.w, sum);
}

template <class Real, int rows_in>
__global__ void __launch_bounds__(block_threads) multiply_real(const __grid_constant__ matmul_call call) {
  const auto& weights = call.weights;
  const int lane = static_cast<int>(threadIdx.x) % warp_lanes;
  const int warp = static_cast<int>(blockIdx.y) * (block_threads / warp_lanes) +
                   static_cast<int>(threadIdx.x) / warp_lanes;
  const int first_output = 2 * warp;
  const int first_row = static_cast<int>(blockIdx.x) * rows_in;
  const int last_output = weights.n_out - 1; // those beyond repeat it, and are not stored
  const int last_row = call.n_rows - 1;
  const auto* matrix = reinterpret_cast<const Real*>(weights.quants);
  wait_for_inputs();
  float sums[2][rows_in] = {};
  for (int k = 4 * lane; k < weights.n_in; k += 4 * warp_lanes) {
    float4 w[2];
    SOUFFLEUR_UNROLL
    for (int i = 0; i < 2; ++i)
      w[i] = four_at(matrix + static_cast<std::ptrdiff_t>(min(first_output + i, last_output)) * weights.n_in +
                     k);
    SOUFFLEUR_UNROLL
    for (int r = 0; r < rows_in; ++r) {
      const float4 x =
          four_at(call.x.rows + static_cast<std::ptrdiff_t>(min(first_row + r, last_row)) * weights.n_in + k);
      SOUFFLEUR_UNROLL
      for (int i = 0; i < 2; ++i)
        sums[i][r] = add_product(sums[i][r], w[i], x);
    }
  }
  SOUFFLEUR_UNROLL
  for (int r = 0; r < rows_in; ++r) {
    const float first = sum_of_lanes(sums[0][r]);
    const float second = sum_of_lanes(sums[1][r]);
    if (lane == r && first_row + r <= last_row)
      store_outputs(call, first_row + r, first_output, first, second);
  }
}

template <class Real>
void launch_for(const launch_queue& queue, const matmul_call& call) {
  constexpr int outputs = 2 * block_threads / warp_lanes;
  if (call.n_rows <= 2)
    launch(queue, multiply_real<Real, 2>, dim3(1, blocks_for(call.weights.n_out, outputs)), block_threads, 0,
           call);
  else
    launch(queue, multiply_real<Real, 8>,
           dim3(blocks_for(call.n_rows, 8), blocks_for(call.weights.n_out, outputs)), block_threads, 0, call);
}

} // namespace

void launch_multiply_real(const launch_queue& queue, const matmul_call& call) {
  if (call.weights.type == tensor_type::f16)
    launch_for<__half>(queue, call);
  else
    launch_for<float>(queue, call);
}

} // namespace souffleur::cuda
