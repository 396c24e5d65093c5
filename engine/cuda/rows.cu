// Kernels over single rows: embedding, norm and rounding, rope with the write of keys and values.
#include "engine/cuda/launch.cuh"

#include <algorithm>

namespace souffleur::cuda {

namespace {

constexpr int row_threads = 256;
constexpr int norm_threads = 512;
static_assert(most_norm_values % norm_threads == 0);

template <tensor_type T>
__global__ void embed_quantised(const device_matrix weights, const std::int32_t* tokens, float scale,
                                float* x) {
  wait_for_inputs();
  const int row = static_cast<int>(blockIdx.x);
  for (int b = static_cast<int>(threadIdx.x); b < weights.n_in / block_values; b += row_threads) {
    const auto block = unpack<T>(load_block<T>(weights, tokens[row], b));
    float* out = x + static_cast<std::ptrdiff_t>(row) * weights.n_in + b * block_values;
    SOUFFLEUR_UNROLL
    for (int i = 0; i < block_values; ++i)
      out[i] = weight_of<T>(block, i) * scale;
  }
}

__device__ inline float float_of(float value) { return value; }
__device__ inline float float_of(__half value) { return __half2float(value); }

template <class Real>
__global__ void embed_real(const device_matrix weights, const std::int32_t* tokens, float scale, float* x) {
  wait_for_inputs();
  const int row = static_cast<int>(blockIdx.x);
  const auto* from =
      reinterpret_cast<const Real*>(weights.quants) + static_cast<std::ptrdiff_t>(tokens[row]) * weights.n_in;
  for (int k = static_cast<int>(threadIdx.x); k < weights.n_in; k += row_threads)
    x[static_cast<std::ptrdiff_t>(row) * weights.n_in + k] = float_of(from[k]) * scale;
}

__device__ void put_value(float value, int row, int k, int n, const activation_rows& out) {
  if (out.rows && k < n)
    out.rows[static_cast<std::ptrdiff_t>(row) * n + k] = value;
  if (out.rounded.quants)
    round_block(value, row, k / block_values, n / block_values, out.rounded);
}

/// The sum over a block of threads of what each has.
__device__ float sum_of_block(float sum) {
  __shared__ float sums[norm_threads / warp_lanes];
  sum = sum_of_lanes(sum);
  if (threadIdx.x % warp_lanes == 0)
    sums[threadIdx.x / warp_lanes] = sum;
  __syncthreads();
  float total = 0;
  SOUFFLEUR_UNROLL
  for (int warp = 0; warp < norm_threads / warp_lanes; ++warp)
    total += sums[warp];
  return total;
}

/// A block has a row, a thread `held` values of it at most.
template <int held>
__global__ void __launch_bounds__(norm_threads) normalise_rows(const __grid_constant__ norm_call call) {
  const int thread = static_cast<int>(threadIdx.x);
  float weights[held];
  SOUFFLEUR_UNROLL
  for (int i = 0; i < held; ++i)
    weights[i] = thread + i * norm_threads < call.n ? call.weight[thread + i * norm_threads] : 0;
  wait_for_inputs();
  const int row = static_cast<int>(blockIdx.x);
  const float* x = call.x + static_cast<std::ptrdiff_t>(call.from_rows ? call.from_rows[row] : row) * call.n;
  float values[held];
  SOUFFLEUR_UNROLL
  for (int i = 0; i < held; ++i)
    values[i] = thread + i * norm_threads < call.n ? x[thread + i * norm_threads] : 0;
  float sum = 0;
  SOUFFLEUR_UNROLL
  for (int i = 0; i < held; ++i)
    sum = fmaf(values[i], values[i], sum);
  const float factor = 1.0F / sqrtf(sum_of_block(sum) / static_cast<float>(call.n) + call.epsilon);
  SOUFFLEUR_UNROLL
  for (int i = 0; i < held; ++i) {
    const int k = thread + i * norm_threads;
    if (k - k % warp_lanes >= call.n) // the whole warp
      continue;
    const float value = values[i] * factor * weights[i];
    if (!call.accumulate)
      put_value(value, row, k, call.n, call.out);
    else if (k < call.n)
      call.out.rows[static_cast<std::ptrdiff_t>(row) * call.n + k] += value;
  }
}

/// Rows as they are: only rounded, or taken from elsewhere.
__global__ void take_rows(const __grid_constant__ norm_call call) {
  wait_for_inputs();
  const int row = static_cast<int>(blockIdx.y);
  const int k = static_cast<int>(blockIdx.x) * row_threads + static_cast<int>(threadIdx.x);
  if (k - k % warp_lanes >= call.n)
    return;
  const float* x = call.x + static_cast<std::ptrdiff_t>(call.from_rows ? call.from_rows[row] : row) * call.n;
  put_value(k < call.n ? x[k] : 0, row, k, call.n, call.out);
}

constexpr int most_head_pairs = 128;

/// By what a head is multiplied that is normed: a thread has the pair (a, b) of it, or zeros.
__device__ float norm_factor(float a, float b, int dim, float epsilon) {
  __shared__ float sums[most_head_pairs / warp_lanes];
  const float sum = sum_of_lanes(fmaf(b, b, a * a));
  if (threadIdx.x % warp_lanes == 0)
    sums[threadIdx.x / warp_lanes] = sum;
  __syncthreads();
  float total = 0;
  for (unsigned warp = 0; warp < blockDim.x / warp_lanes; ++warp)
    total += sums[warp];
  return 1.0F / sqrtf(total / static_cast<float>(dim) + epsilon);
}

/// A block has a head of a row, or of a copy; a thread has the pair (i, i + half). Keys are normed and turned
/// on their way to the pages, so that a row can be stored several times.
__global__ void rotate_and_store(const __grid_constant__ store_call call) {
  wait_for_inputs();
  const int n_rows = call.rows.n_rows;
  const int index = static_cast<int>(blockIdx.y);
  const int head = static_cast<int>(blockIdx.x);
  const bool is_copy = index >= n_rows;
  const int row = is_copy ? call.copies[2 * (index - n_rows)] : index;
  const int line = is_copy ? call.copies[2 * (index - n_rows) + 1] : call.rows.lines[row];
  if (is_copy && head < call.n_heads)
    return;
  const int dim = call.kv.head_dim;
  const int half = dim / 2;
  const int n_kv = call.kv.n_kv_heads;
  const int i = static_cast<int>(threadIdx.x);
  const int place = call.rows.places[row];
  float* at = call.qkv + (static_cast<std::ptrdiff_t>(row) * (call.n_heads + 2 * n_kv) + head) * dim;
  const bool has_pair = i < half;
  float first = has_pair ? at[i] : 0;
  float second = has_pair ? at[i + half] : 0;
  const float* norm = head < call.n_heads ? call.q_norm : head < call.n_heads + n_kv ? call.k_norm : nullptr;
  if (norm != nullptr) { // the whole block
    const float factor = norm_factor(first, second, dim, call.epsilon);
    first = has_pair ? first * factor * norm[i] : 0;
    second = has_pair ? second * factor * norm[i + half] : 0;
  }
  if (!has_pair)
    return;
  if (head < call.n_heads + n_kv) {
    const int angle = call.angles ? call.angles[row] : place;
    const float cosine = call.cosines[static_cast<std::ptrdiff_t>(angle) * half + i];
    const float sine = call.sines[static_cast<std::ptrdiff_t>(angle) * half + i];
    const float a = first;
    const float b = second;
    first = fmaf(a, cosine, -(b * sine));
    second = fmaf(a, sine, b * cosine);
  }
  if (head < call.n_heads) {
    at[i] = first;
    at[i + half] = second;
    return;
  }
  const bool is_key = head < call.n_heads + n_kv;
  const int page =
      call.rows.page_table[static_cast<std::ptrdiff_t>(line) * call.rows.table_width + place / page_tokens];
  const int kv_head = head - call.n_heads - (is_key ? 0 : n_kv);
  auto* to = (is_key ? call.kv.keys : call.kv.values) + page * call.kv.page_stride +
             (kv_head * page_tokens + place % page_tokens) * dim;
  to[i] = half_of(first);
  to[i + half] = half_of(second);
}

/// A block has a head's keys of one place, a thread the pair (i, i + half).
__global__ void turn_keys(const __grid_constant__ turn_call call) {
  wait_for_inputs();
  const int dim = call.kv.head_dim;
  const int half = dim / 2;
  const int i = static_cast<int>(threadIdx.x);
  auto* keys = call.kv.keys + call.page * call.kv.page_stride + static_cast<std::ptrdiff_t>(blockIdx.x) * dim;
  const float a = float_of_half(keys[i]);
  const float b = float_of_half(keys[i + half]);
  const float cosine = call.cosines[i];
  const float sine = call.sines[i];
  keys[i] = half_of(fmaf(a, cosine, -(b * sine)));
  keys[i + half] = half_of(fmaf(a, sine, b * cosine));
}

} // namespace

void launch_embed(const launch_queue& queue, const device_matrix& weights, const std::int32_t* tokens,
                  int n_rows, float scale, float* x) {
  const dim3 grid(static_cast<unsigned>(n_rows));
  if (weights.type == tensor_type::f32)
    launch(queue, embed_real<float>, grid, row_threads, 0, weights, tokens, scale, x);
  else if (weights.type == tensor_type::f16)
    launch(queue, embed_real<__half>, grid, row_threads, 0, weights, tokens, scale, x);
  else
    with_quantised_format(weights.type, [&]<tensor_type T>() {
      launch(queue, embed_quantised<T>, grid, row_threads, 0, weights, tokens, scale, x);
    });
}

void launch_normalise(const launch_queue& queue, const norm_call& call) {
  const auto n_rows = static_cast<unsigned>(call.n_rows);
  const auto kernel = call.n <= 2 * norm_threads   ? normalise_rows<2>
                      : call.n <= 8 * norm_threads ? normalise_rows<8>
                                                   : normalise_rows<most_norm_values / norm_threads>;
  if (call.weight)
    launch(queue, kernel, dim3(n_rows), norm_threads, 0, call);
  else
    launch(queue, take_rows, dim3(blocks_for(call.n, row_threads), n_rows), row_threads, 0, call);
}

void launch_rotate_and_store(const launch_queue& queue, const store_call& call) {
  const dim3 grid(static_cast<unsigned>(call.n_heads + 2 * call.kv.n_kv_heads),
                  static_cast<unsigned>(call.rows.n_rows + call.n_copies));
  launch(queue, rotate_and_store, grid, std::max(call.kv.head_dim / 2, warp_lanes), 0, call);
}

void launch_turn(const launch_queue& queue, const turn_call& call) {
  launch(queue, turn_keys, dim3(static_cast<unsigned>(call.kv.n_kv_heads * page_tokens)),
         call.kv.head_dim / 2, 0, call);
}

} // namespace souffleur::cuda
