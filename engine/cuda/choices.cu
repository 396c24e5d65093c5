// What becomes of logits on the device: the most likely tokens, which drafted ones stand, and the next step.
#include "engine/cuda/launch.cuh"
#include "engine/cuda/shares.hpp"

namespace souffleur::cuda {

namespace {

constexpr int choice_threads = 256;

__device__ inline std::uint64_t largest_key(std::uint64_t key) {
  SOUFFLEUR_UNROLL
  for (int step = warp_lanes / 2; step > 0; step /= 2) {
    const std::uint64_t other = __shfl_xor_sync(all_lanes, key, step);
    key = other > key ? other : key;
  }
  return key;
}

__global__ void choose_of_chunks(const argmax_call call) {
  __shared__ std::uint64_t keys[choice_threads / warp_lanes];
  wait_for_inputs();
  const int row = static_cast<int>(blockIdx.y);
  const int begin = static_cast<int>(blockIdx.x) * argmax_chunk;
  const int end = min(begin + argmax_chunk, call.n_vocabulary);
  const float* logits = call.logits + static_cast<std::ptrdiff_t>(row) * call.n_vocabulary;
  std::uint64_t key = 0;
  for (int token = begin + static_cast<int>(threadIdx.x); token < end; token += choice_threads) {
    const std::uint64_t own = key_of(logits[token], token);
    key = own > key ? own : key;
  }
  key = largest_key(key);
  if (threadIdx.x % warp_lanes == 0)
    keys[threadIdx.x / warp_lanes] = key;
  __syncthreads();
  if (threadIdx.x != 0)
    return;
  for (int warp = 1; warp < choice_threads / warp_lanes; ++warp)
    key = keys[warp] > key ? keys[warp] : key;
  call.workspace[static_cast<std::ptrdiff_t>(row) * gridDim.x + blockIdx.x] = key;
}

/// A warp has a row.
__global__ void choose_of_rows(const argmax_call call, int n_chunks) {
  wait_for_inputs();
  const int row = static_cast<int>(blockIdx.x);
  std::uint64_t key = 0;
  for (int chunk = static_cast<int>(threadIdx.x); chunk < n_chunks; chunk += warp_lanes) {
    const std::uint64_t own = call.workspace[static_cast<std::ptrdiff_t>(row) * n_chunks + chunk];
    key = own > key ? own : key;
  }
  key = largest_key(key);
  if (threadIdx.x == 0)
    call.choices[row] = static_cast<std::int32_t>(0xFFFFFFFFU - static_cast<std::uint32_t>(key));
}

__global__ void accept_drafts(const acceptance_call call) {
  wait_for_inputs();
  const int sequence = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (sequence >= call.n_sequences)
    return;
  const int first = call.first_rows[sequence];
  const int n_rows = call.first_rows[sequence + 1] - first;
  std::int32_t* emitted = call.emitted + static_cast<std::ptrdiff_t>(sequence) * call.most_tokens;
  int row = 0;
  int n = 0;
  for (int child = 1; child < n_rows; ++child)
    if (call.parents[first + child] == row && call.tokens[first + child] == call.choices[first + row]) {
      emitted[n++] = call.tokens[first + child];
      row = child; // its children come after it
    }
  emitted[n++] = call.choices[first + row];
  call.n_emitted[sequence] = n;
  call.last_rows[sequence] = row;
}

__global__ void advance_rows(const advance_call call) {
  wait_for_inputs();
  const int row = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (row >= call.n_rows)
    return;
  call.history[static_cast<std::ptrdiff_t>(row) * call.history_width + call.places[row]] = call.choices[row];
  call.tokens[row] = call.choices[row];
  ++call.places[row];
}

} // namespace

void launch_choose(const launch_queue& queue, const argmax_call& call) {
  const int n_chunks = argmax_chunks(call.n_vocabulary);
  launch(queue, choose_of_chunks, dim3(static_cast<unsigned>(n_chunks), static_cast<unsigned>(call.n_rows)),
         choice_threads, 0, call);
  launch(queue, choose_of_rows, dim3(static_cast<unsigned>(call.n_rows)), warp_lanes, 0, call, n_chunks);
}

void launch_accept(const launch_queue& queue, const acceptance_call& call) {
  launch(queue, accept_drafts, dim3(blocks_for(call.n_sequences, warp_lanes)), warp_lanes, 0, call);
}

void launch_advance(const launch_queue& queue, const advance_call& call) {
  launch(queue, advance_rows, dim3(blocks_for(call.n_rows, warp_lanes)), warp_lanes, 0, call);
}

} // namespace souffleur::cuda
