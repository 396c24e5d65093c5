// Quantised weights times several rows on the tensor cores. A block of 32 inputs is one instruction: its
// integers are exact, in whatever order the hardware adds them, so that a row gets the bits that
// matmul_few.cu gives it.
#include "engine/cuda/matmul.cuh"

namespace souffleur::cuda {

namespace {

/// c (16, 8) += a (16, 32 or 16) b. Source: PTX ISA, mma.m16n8k32 and mma.m16n8k16 with .s8.
__device__ inline void multiply_accumulate(int (&c)[4], const std::uint32_t (&a)[4],
                                           const std::uint32_t (&b)[2]) {
  asm("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
__device__ inline void multiply_accumulate(int (&c)[4], std::uint32_t a0, std::uint32_t a1, std::uint32_t b) {
  asm("mma.sync.aligned.m16n8k16.row.col.s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
      : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3])
      : "r"(a0), "r"(a1), "r"(b));
}

/// Of a block, the words of chunks `quad` and 4 + quad, which is what a lane holds of a row.
template <tensor_type T>
struct packed_words {
  std::uint32_t low[format<T>.bits == 8 ? 2 : 1];
  std::uint32_t high[format<T>.bits == 6 ? 2 : 1];
};

template <tensor_type T>
__device__ packed_words<T> load_words_of(const device_matrix& matrix, int row, int block, int quad) {
  constexpr plane_sizes sizes = plane_sizes_of(format<T>);
  const auto place = block_place(row, block, matrix.n_in / block_values);
  packed_words<T> loaded;
  load_words<1>(matrix.quants + place * sizes.quants + 4 * quad, loaded.low);
  if constexpr (format<T>.bits == 8)
    load_words<1>(matrix.quants + place * sizes.quants + 16 + 4 * quad, loaded.low + 1);
  if constexpr (sizes.high > 0)
    load_words<sizes.high / 4>(matrix.high + place * sizes.high, loaded.high);
  return loaded;
}

/// As quants_of() gives them for chunk `quad`, or 4 + quad.
template <tensor_type T>
__device__ std::uint32_t quants_of(const packed_words<T>& words, int quad, int half) {
  if constexpr (format<T>.bits == 8) {
    return words.low[half];
  } else {
    std::uint32_t word = (words.low[0] >> (4 * half)) & 0x0F0F0F0FU;
    if constexpr (format<T>.bits == 5)
      word |= ((words.high[0] >> (4 * half + quad)) & 0x01010101U) << 4;
    if constexpr (format<T>.bits == 6)
      word |= ((words.high[half] >> (2 * quad)) & 0x03030303U) << 4;
    return word;
  }
}

/// A lane's part of a block of sixteen outputs: of outputs lane / 4 and 8 + lane / 4.
template <tensor_type T>
struct weight_fragment {
  packed_words<T> words[2];
  packed_factors factors[2];
};

/// A lane's part of a block of eight input rows: words of row lane / 4, and what rows 2 (lane % 4) and the
/// next were rounded with.
struct input_fragment {
  std::uint32_t words[2];
  block_stats stats[2];
};

template <tensor_type T, int n_sums, int n_tiles>
class tile_product {
public:
  static constexpr int n_rows = n_tiles * tile_rows;
  using dealing = sum_dealing<n_sums>;
  using exchange = sum_exchange<n_sums, n_rows>;

  __device__ explicit tile_product(const matmul_call& call) : call_(call) {}

  __device__ void run(weight_stream<T>& weights, exchange& sums) {
    for (int stage = 0; stage * stage_blocks < n_blocks_; ++stage) {
      const auto tile = weights.wait(stage);
      for (int round = 0; round < stage_blocks && stage * stage_blocks + round < n_blocks_; round += n_sums)
        add_blocks(tile, stage * stage_blocks, round);
      weights.next(stage);
    }
    put_sums(sums);
    __syncthreads();
    sums.store(call_, first_row_, first_output_);
  }

private:
  static constexpr int n_blocks_at_once = 2 * dealing::n_pairs;

  /// One block for each of the warp's sums: those from first + round on, which are the stage's from round on.
  __device__ void add_blocks(const device_matrix& stage, int first, int round) {
    input_fragment x[n_blocks_at_once][n_tiles];
    SOUFFLEUR_UNROLL
    for (int i = 0; i < n_blocks_at_once; ++i) {
      SOUFFLEUR_UNROLL
      for (int tile = 0; tile < n_tiles; ++tile)
        x[i][tile] = load_inputs(tile, min(first + block_of(round, i), n_blocks_ - 1));
    }
    SOUFFLEUR_UNROLL
    for (int i = 0; i < n_blocks_at_once; ++i)
      if (first + block_of(round, i) < n_blocks_) // the whole warp
        add_block(load_weights(stage, block_of(round, i)), x[i], sums_[i]);
  }

  __device__ int block_of(int round, int i) const { return round + dealing::block_of(warp_, i / 2, i % 2); }

  __device__ weight_fragment<T> load_weights(const device_matrix& stage, int block) const {
    weight_fragment<T> fragment;
    SOUFFLEUR_UNROLL
    for (int half = 0; half < 2; ++half) {
      fragment.words[half] = load_words_of<T>(stage, 8 * half + group_, block, quad_);
      fragment.factors[half] = load_factors<T>(stage, 8 * half + group_, block);
    }
    return fragment;
  }

  /// Rows beyond the last tile repeat it.
  __device__ input_fragment load_inputs(int tile, int block) const {
    const auto& x = call_.x.rounded;
    const int row = min(first_row_ + tile * tile_rows, padded_rows(call_.n_rows) - tile_rows);
    const auto place = input_place(row, block, n_blocks_);
    const auto* quants =
        reinterpret_cast<const std::uint32_t*>(x.quants + (place + group_) * block_values) + quad_;
    return {{quants[0], quants[4]}, {x.stats[place + 2 * quad_], x.stats[place + 2 * quad_ + 1]}};
  }

  __device__ void add_block(const weight_fragment<T>& weights, const input_fragment (&x)[n_tiles],
                            float (&sums)[n_tiles][4]) const {
    std::uint32_t a[4]; // outputs group and 8 + group of the first half, then of the second
    block_factors<T> factors[2];
    SOUFFLEUR_UNROLL
    for (int half = 0; half < 2; ++half) {
      factors[half] = unpack<T>(weights.factors[half]);
      a[half] = quants_of<T>(weights.words[half], quad_, 0);
      a[2 + half] = quants_of<T>(weights.words[half], quad_, 1);
    }
    SOUFFLEUR_UNROLL
    for (int tile = 0; tile < n_tiles; ++tile) {
      int dots[format<T>.n_scales][4] = {};
      if constexpr (format<T>.n_scales == 1) {
        multiply_accumulate(dots[0], a, x[tile].words);
      } else {
        multiply_accumulate(dots[0], a[0], a[1], x[tile].words[0]);
        multiply_accumulate(dots[1], a[2], a[3], x[tile].words[1]);
      }
      SOUFFLEUR_UNROLL
      for (int i = 0; i < 4; ++i) {
        int own[format<T>.n_scales];
        SOUFFLEUR_UNROLL
        for (int g = 0; g < format<T>.n_scales; ++g)
          own[g] = dots[g][i];
        sums[tile][i] = add_dots<T>(sums[tile][i], factors[i / 2], own, x[tile].stats[i % 2]);
      }
    }
  }

  __device__ void put_sums(exchange& sums) const {
    SOUFFLEUR_UNROLL
    for (int of_pair = 0; of_pair < 2; ++of_pair) {
      SOUFFLEUR_UNROLL
      for (int tile = 0; tile < n_tiles; ++tile) {
        SOUFFLEUR_UNROLL
        for (int i = 0; i < 4; ++i) {
          float sum = sums_[of_pair][tile][i];
          if constexpr (dealing::n_pairs == 2)
            sum += sums_[of_pair + 2][tile][i];
          sums.put(warp_, of_pair, tile * tile_rows + 2 * quad_ + i % 2, group_ + 8 * (i / 2), sum);
        }
      }
    }
  }

  const matmul_call& call_;
  int n_blocks_ = call_.weights.n_in / block_values;
  int warp_ = static_cast<int>(threadIdx.x) / warp_lanes;
  int group_ = static_cast<int>(threadIdx.x) % warp_lanes / 4;
  int quad_ = static_cast<int>(threadIdx.x) % 4;
  int first_row_ = static_cast<int>(blockIdx.x) * n_rows;
  int first_output_ = static_cast<int>(blockIdx.y) * tile_outputs;
  float sums_[n_blocks_at_once][n_tiles][4] = {};
};

} // namespace

void launch_multiply_tiles(const launch_queue& queue, const matmul_call& call) {
  with_sums(call.weights, [&]<tensor_type T, int n_sums>() {
    if (call.n_rows <= tile_rows)
      launch_product<tile_product<T, n_sums, 1>, T>(queue, call);
    else
      launch_product<tile_product<T, n_sums, 2>, T>(queue, call);
  });
}

void launch_multiply(const launch_queue& queue, const matmul_call& call) {
  if (packed_format_of(call.weights.type).is_real)
    launch_multiply_real(queue, call);
  else if (call.n_rows <= 2)
    launch_multiply_few(queue, call);
  else
    launch_multiply_tiles(queue, call);
}

} // namespace souffleur::cuda
