// Attention over paged keys and values. A block has a tile of rows, a KV head and a part of part_tokens
// positions; a second kernel puts the parts together. Of a part, dim / 8 lanes share a position, sixteen
// bytes each, both of keys and of values.
#include "engine/cuda/launch.cuh"

#include <climits>

namespace souffleur::cuda {

namespace {

constexpr int n_warps = part_tokens / warp_lanes;
constexpr int most_queries = 8; ///< that a block takes at once

__device__ inline std::ptrdiff_t part_place(const attention_call& call, int row, int head, int part) {
  return ((static_cast<std::ptrdiff_t>(row) * call.n_heads + head) * call.n_parts + part) *
         (call.kv.head_dim + 2);
}

__device__ inline void eight_floats(const uint4& halves, float (&out)[8]) {
  const std::uint32_t words[4] = {halves.x, halves.y, halves.z, halves.w};
  SOUFFLEUR_UNROLL
  for (int i = 0; i < 4; ++i) {
    out[2 * i] = float_of_half(static_cast<std::uint16_t>(words[i]));
    out[2 * i + 1] = float_of_half(static_cast<std::uint16_t>(words[i] >> 16));
  }
}

/// Rows that stand at different positions see different ends of the part.
struct visible_range {
  int begin, end;
};

__device__ inline visible_range range_of(const attention_call& call, int row) {
  const int end = call.rows.places[row] + 1;
  return {call.window > 0 ? max(0, end - call.window) : 0, end};
}

template <int dim>
struct part_memory {
  float queries[most_queries][dim];
  float weights[most_queries][part_tokens]; ///< scores at first
  float sums[n_warps][most_queries][dim];   ///< of the weighted values
  visible_range ranges[most_queries];
};

/// Some queries of a tile, `n` from number `first_query` on; query i is row i / n_shared of the
/// tile with head i % n_shared of those that share a KV head.
template <int dim>
class part_of_tile {
public:
  __device__ part_of_tile(const attention_call& call, const row_tile& tile, int kv_head, int first_query,
                          int n, part_memory<dim>& memory)
      : call_(call), tile_(tile), memory_(memory), n_shared_(call.n_heads / call.kv.n_kv_heads),
        first_query_(first_query), n_(n), kv_head_(kv_head) {}

  __device__ void run() {
    gather();
    __syncthreads();
    int begin = INT_MAX;
    int end = 0;
    for (int i = 0; i < n_; ++i) {
      begin = min(begin, memory_.ranges[i].begin);
      end = max(end, memory_.ranges[i].end);
    }
    from_ = max(0, begin - first_);
    to_ = min(part_tokens, end - first_);
    if (from_ >= to_)
      return;
    score();
    uint4 values[at_once];
    load(call_.kv.values, 0, values); // they come while the scores are weighed
    __syncthreads();
    weigh();
    __syncthreads();
    add_values(values);
    __syncthreads();
    store();
  }

private:
  static constexpr int chunks = dim / 8;
  static constexpr int groups = part_tokens / chunks;
  static constexpr int at_once = chunks < 16 ? chunks : 16; ///< positions of a lane's that it loads together

  __device__ int row(int i) const { return tile_.first_row + (first_query_ + i) / n_shared_; }
  __device__ int head(int i) const { return kv_head_ * n_shared_ + (first_query_ + i) % n_shared_; }
  __device__ bool is_seen(int i) const {
    return memory_.ranges[i].begin < first_ + part_tokens && memory_.ranges[i].end > first_;
  }

  __device__ void gather() {
    if (thread_ < n_)
      memory_.ranges[thread_] = range_of(call_, row(thread_));
    const int heads = call_.n_heads + 2 * call_.kv.n_kv_heads;
    for (int i = thread_; i < n_ * dim; i += part_tokens) {
      const int query = i / dim;
      memory_.queries[query][i % dim] =
          call_.qkv[(static_cast<std::ptrdiff_t>(row(query)) * heads + head(query)) * dim + i % dim] *
          call_.scale;
    }
  }

  /// This thread's eight dimensions of its positions from number `batch` on; zeros where nobody looks.
  __device__ void load(const std::uint16_t* pages, int batch, uint4 (&halves)[at_once]) const {
    SOUFFLEUR_UNROLL
    for (int i = 0; i < at_once; ++i) {
      const int j = group_ + groups * (batch + i);
      halves[i] = {0, 0, 0, 0};
      if (j < from_ || j >= to_)
        continue;
      const int place = first_ + j;
      const auto* head = pages + line_[place / page_tokens] * call_.kv.page_stride +
                         (kv_head_ * page_tokens + place % page_tokens) * dim;
      halves[i] = *reinterpret_cast<const uint4*>(head + chunk_ * 8);
    }
  }

  __device__ void score() {
    for (int batch = 0; batch < chunks; batch += at_once) {
      uint4 keys[at_once];
      load(call_.kv.keys, batch, keys);
      for (int query = 0; query < n_; ++query) {
        float q[8];
        SOUFFLEUR_UNROLL
        for (int d = 0; d < 8; ++d)
          q[d] = memory_.queries[query][chunk_ * 8 + d];
        float sums[at_once];
        SOUFFLEUR_UNROLL
        for (int i = 0; i < at_once; ++i) {
          float key[8];
          eight_floats(keys[i], key);
          sums[i] = 0;
          SOUFFLEUR_UNROLL
          for (int d = 0; d < 8; ++d)
            sums[i] = fmaf(q[d], key[d], sums[i]);
        }
        const float sum = add_up(sums);
        const int j = group_ + groups * (batch + chunk_ * at_once / chunks);
        const int place = first_ + j;
        const auto& range = memory_.ranges[query];
        if (chunk_ % (chunks / at_once) == 0)
          memory_.weights[query][j] = place >= range.begin && place < range.end ? sum : -INFINITY;
      }
    }
  }

  /// Each of the sums over a position's lanes, in pairs from far to near. To save exchanges, of two
  /// lanes each takes half of the sums from then on. Returns number chunk * at_once / chunks.
  __device__ float add_up(float (&sums)[at_once]) const {
    int n = at_once;
    SOUFFLEUR_UNROLL
    for (int step = chunks / 2; step > 0; step /= 2) {
      if (n == 1) {
        sums[0] += __shfl_xor_sync(all_lanes, sums[0], step);
        continue;
      }
      n /= 2;
      const bool takes_upper = (chunk_ & step) != 0;
      SOUFFLEUR_UNROLL
      for (int i = 0; i < at_once / 2; ++i) {
        if (i >= n)
          break;
        const float given = takes_upper ? sums[i] : sums[i + n];
        const float kept = takes_upper ? sums[i + n] : sums[i];
        sums[i] = kept + __shfl_xor_sync(all_lanes, given, step);
      }
    }
    return sums[0];
  }

  /// A warp turns a query's scores into exponentials relative to the largest.
  __device__ void weigh() {
    const int lane = thread_ % warp_lanes;
    for (int query = thread_ / warp_lanes; query < n_; query += n_warps) {
      float* weights = memory_.weights[query];
      float largest = -INFINITY;
      SOUFFLEUR_UNROLL
      for (int i = 0; i < n_warps; ++i)
        largest = fmaxf(largest, weights[lane + warp_lanes * i]);
      largest = largest_of_lanes(largest);
      float sum = 0;
      SOUFFLEUR_UNROLL
      for (int i = 0; i < n_warps; ++i) {
        float& weight = weights[lane + warp_lanes * i];
        weight = weight == -INFINITY ? 0 : exp_of(weight - largest);
        sum += weight;
      }
      sum = sum_of_lanes(sum);
      if (lane != 0 || !is_seen(query))
        continue;
      float* part =
          call_.workspace + part_place(call_, row(query), head(query), static_cast<int>(blockIdx.z));
      part[dim] = largest;
      part[dim + 1] = sum;
    }
  }

  /// `values` are those of the first batch.
  __device__ void add_values(uint4 (&values)[at_once]) {
    float sums[most_queries][8] = {};
    for (int batch = 0; batch < chunks; batch += at_once) {
      if (batch > 0)
        load(call_.kv.values, batch, values);
      SOUFFLEUR_UNROLL
      for (int i = 0; i < at_once; ++i) {
        float value[8];
        eight_floats(values[i], value);
        SOUFFLEUR_UNROLL
        for (int query = 0; query < most_queries; ++query) {
          if (query >= n_)
            break;
          const float weight = memory_.weights[query][group_ + groups * (batch + i)];
          SOUFFLEUR_UNROLL
          for (int d = 0; d < 8; ++d)
            sums[query][d] = fmaf(weight, value[d], sums[query][d]);
        }
      }
    }
    SOUFFLEUR_UNROLL
    for (int query = 0; query < most_queries; ++query) {
      if (query >= n_)
        break;
      SOUFFLEUR_UNROLL
      for (int d = 0; d < 8; ++d) {
        float sum = sums[query][d];
        SOUFFLEUR_UNROLL
        for (int step = warp_lanes / 2; step >= chunks; step /= 2)
          sum += __shfl_xor_sync(all_lanes, sum, step);
        if (thread_ % warp_lanes < chunks)
          memory_.sums[thread_ / warp_lanes][query][chunk_ * 8 + d] = sum;
      }
    }
  }

  __device__ void store() {
    for (int i = thread_; i < n_ * dim; i += part_tokens) {
      const int query = i / dim;
      float total = 0;
      SOUFFLEUR_UNROLL
      for (int warp = 0; warp < n_warps; ++warp)
        total += memory_.sums[warp][query][i % dim];
      if (is_seen(query))
        call_.workspace[part_place(call_, row(query), head(query), static_cast<int>(blockIdx.z)) + i % dim] =
            total;
    }
  }

  const attention_call& call_;
  const row_tile& tile_;
  part_memory<dim>& memory_;
  int n_shared_;
  int first_query_;
  int n_;
  int kv_head_;
  int first_ = static_cast<int>(blockIdx.z) * part_tokens; ///< position
  int thread_ = static_cast<int>(threadIdx.x);
  int chunk_ = thread_ % chunks;
  int group_ = thread_ / chunks;
  const std::int32_t* line_ =
      call_.rows.page_table +
      static_cast<std::ptrdiff_t>(call_.rows.lines[tile_.first_row]) * call_.rows.table_width;
  int from_ = 0; ///< positions of the part that anyone sees
  int to_ = 0;
};

/// How the queries of a tile and a KV head are shared out: `n_splits` blocks take `at_once` in turn.
struct query_split {
  int at_once, n_splits;
};

template <int dim>
__global__ void __launch_bounds__(part_tokens)
    attend_parts(const __grid_constant__ attention_call call, const query_split split) {
  __shared__ part_memory<dim> memory;
  wait_for_inputs();
  const row_tile tile = call.tiles[blockIdx.x];
  const int kv_head = static_cast<int>(blockIdx.y) / split.n_splits;
  const int n_queries = tile.n_rows * (call.n_heads / call.kv.n_kv_heads);
  for (int first = static_cast<int>(blockIdx.y) % split.n_splits * split.at_once; first < n_queries;
       first += split.n_splits * split.at_once) {
    part_of_tile<dim>{call, tile, kv_head, first, min(split.at_once, n_queries - first), memory}.run();
    __syncthreads();
  }
}

/// A block has a row and a head, a thread a dimension.
__global__ void merge_parts(const __grid_constant__ attention_call call) {
  wait_for_inputs();
  const int head = static_cast<int>(blockIdx.x);
  const int row = static_cast<int>(blockIdx.y);
  const int dim = call.kv.head_dim;
  const int d = static_cast<int>(threadIdx.x);
  const auto range = range_of(call, row);
  const int first_part = range.begin / part_tokens;
  const int last_part = (range.end - 1) / part_tokens;
  const float* parts = call.workspace + part_place(call, row, head, 0);
  const int stride = dim + 2;
  float largest = -INFINITY;
  for (int part = first_part; part <= last_part; ++part)
    largest = fmaxf(largest, parts[part * stride + dim]);
  float mass = 0;
  float value = 0;
  for (int part = first_part; part <= last_part; ++part) {
    const float factor = exp_of(parts[part * stride + dim] - largest);
    mass = fmaf(factor, parts[part * stride + dim + 1], mass);
    value = fmaf(factor, parts[part * stride + d], value);
  }
  value /= mass;
  const int k = head * dim + d;
  const int n = call.n_heads * dim;
  if (call.out.rows)
    call.out.rows[static_cast<std::ptrdiff_t>(row) * n + k] = value;
  if (call.out.rounded.quants)
    round_block(value, row, k / block_values, n / block_values, call.out.rounded);
}

} // namespace

void launch_attend(const launch_queue& queue, const attention_call& call) {
  // Few blocks: more of them with fewer queries each are sooner done than keys and values read once.
  constexpr int enough_blocks = 128;
  const int n_shared = call.n_heads / call.kv.n_kv_heads;
  const bool is_small = call.n_tiles * call.kv.n_kv_heads * call.n_parts < enough_blocks;
  const query_split split = is_small ? query_split{1, n_shared} : query_split{most_queries, 1};
  const dim3 grid(static_cast<unsigned>(call.n_tiles),
                  static_cast<unsigned>(call.kv.n_kv_heads * split.n_splits),
                  static_cast<unsigned>(call.n_parts));
  const auto kernel = call.kv.head_dim == 32    ? attend_parts<32>
                      : call.kv.head_dim == 64  ? attend_parts<64>
                      : call.kv.head_dim == 128 ? attend_parts<128>
                                                : attend_parts<256>;
  launch(queue, kernel, grid, part_tokens, 0, call, split);
  launch(queue, merge_parts,
         dim3(static_cast<unsigned>(call.n_heads), static_cast<unsigned>(call.rows.n_rows)), call.kv.head_dim,
         0, call);
}

} // namespace souffleur::cuda
