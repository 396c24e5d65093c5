// The weights of a tile on their way to a block of threads. The copy engine brings them to shared memory,
// some stages ahead; since nobody writes weights, it begins before the kernel's inputs are there.
#pragma once

#include "engine/cuda/launch.cuh"

namespace souffleur::cuda {

constexpr int stage_blocks = 32;
constexpr int most_stages = 4;

/// Of a row of n_blocks.
constexpr int stages_for(int n_blocks) {
  const int n = (n_blocks + stage_blocks - 1) / stage_blocks;
  return n < most_stages ? n : most_stages;
}

/// Where a stage's planes begin, in bytes.
template <tensor_type T>
struct stage_layout {
  static constexpr plane_sizes sizes = plane_sizes_of(format<T>);
  static constexpr int high = stage_blocks * tile_outputs * sizes.quants;
  static constexpr int scales = high + stage_blocks * tile_outputs * sizes.high;
  static constexpr int supers = scales + stage_blocks * tile_outputs * sizes.scales;
  static constexpr int n_bytes = supers + stage_blocks / super_blocks * tile_outputs * sizes.supers;
};

/// Counts the bytes of one stage's copies, again and again: each time that all are there ends a phase.
/// Source: PTX ISA, mbarrier and cp.async.bulk.
class copy_barrier {
public:
  __device__ void init() {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(address()) : "memory");
  }
  __device__ void expect(int n_bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(address()), "r"(n_bytes)
                 : "memory");
  }
  /// Both aligned to 16 bytes, as is the number of bytes.
  __device__ void copy(const std::uint8_t* from, std::uint8_t* to, int n_bytes) {
    asm volatile(
        "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
            static_cast<std::uint32_t>(__cvta_generic_to_shared(to))),
        "l"(from), "r"(n_bytes), "r"(address())
        : "memory");
  }
  /// Until phase number `phase` is over.
  __device__ void wait(int phase) const {
    std::uint32_t is_over = 0;
    while (!is_over)
      asm volatile("{\n"
                   ".reg .pred over;\n"
                   "mbarrier.try_wait.parity.shared::cta.b64 over, [%1], %2;\n"
                   "selp.u32 %0, 1, 0, over;\n"
                   "}"
                   : "=r"(is_over)
                   : "r"(address()), "r"(phase & 1)
                   : "memory");
  }

private:
  __device__ std::uint32_t address() const {
    return static_cast<std::uint32_t>(__cvta_generic_to_shared(&state_));
  }

  std::uint64_t state_;
};

/// Called by all threads of a block. `memory` has stages_for(blocks) stages.
template <tensor_type T>
class weight_stream {
public:
  __device__ weight_stream(const device_matrix& weights, int first_output, std::uint8_t* memory,
                           copy_barrier (&barriers)[most_stages])
      : weights_(weights), first_output_(first_output), memory_(memory), barriers_(barriers) {}

  __device__ void begin() {
    if (threadIdx.x == 0) {
      for (int i = 0; i < n_stages_; ++i)
        barriers_[i].init();
      asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
      for (int i = 0; i < n_stages_; ++i)
        ask_for(i);
    }
    __syncthreads();
  }

  /// Blocks [index * stage_blocks, ...) as a matrix of one tile; valid until next().
  __device__ device_matrix wait(int index) const {
    barriers_[index % n_stages_].wait(index / n_stages_);
    const auto* stage = memory_ + index % n_stages_ * layout::n_bytes;
    return {stage, stage + layout::high, stage + layout::scales,     stage + layout::supers,
            T,     tile_outputs,         stage_blocks * block_values};
  }

  /// Stage `index` may be written over.
  __device__ void next(int index) {
    __syncthreads();
    if (threadIdx.x == 0 && (index + n_stages_) * stage_blocks < n_blocks_)
      ask_for(index + n_stages_);
  }

private:
  using layout = stage_layout<T>;

  __device__ void ask_for(int index) {
    auto& barrier = barriers_[index % n_stages_];
    auto* stage = memory_ + index % n_stages_ * layout::n_bytes;
    const int first = index * stage_blocks;
    const int n = min(stage_blocks, n_blocks_ - first);
    const int n_block_bytes = layout::sizes.quants + layout::sizes.high + layout::sizes.scales;
    barrier.expect((n * n_block_bytes + n / super_blocks * layout::sizes.supers) * tile_outputs);
    const auto place = block_place(first_output_, first, n_blocks_);
    const auto copy = [&](const std::uint8_t* plane, int to, int n_bytes) {
      barrier.copy(plane + place * n_bytes, stage + to, n * tile_outputs * n_bytes);
    };
    copy(weights_.quants, 0, layout::sizes.quants);
    if constexpr (layout::sizes.high > 0)
      copy(weights_.high, layout::high, layout::sizes.high);
    copy(weights_.scales, layout::scales, layout::sizes.scales);
    if constexpr (layout::sizes.supers > 0)
      barrier.copy(weights_.supers +
                       block_place(first_output_, first / super_blocks, n_blocks_ / super_blocks) *
                           layout::sizes.supers,
                   stage + layout::supers, n / super_blocks * tile_outputs * layout::sizes.supers);
  }

  const device_matrix& weights_;
  int n_blocks_ = weights_.n_in / block_values;
  int n_stages_ = stages_for(n_blocks_);
  int first_output_;
  std::uint8_t* memory_;
  copy_barrier (&barriers_)[most_stages];
};

} // namespace souffleur::cuda
