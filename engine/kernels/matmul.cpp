// Layout. Eight output rows form a group; a group is a sequence of blocks, one per 32 inputs:
//   n_groups x 8 float scales, [n_groups x 8 float mins], then the quants in chunks of 4 inputs x 8 rows = 32
//   bytes. byte:   8 chunks of int8 nibble: 4 times 32 bytes, low nibbles = chunk 2g, high nibbles = chunk 2g
//   + 1 real:   no scales; 32 x 8 floats (input-major)
#include "engine/kernels/matmul.hpp"

#include "engine/dequantize.hpp"
#include "engine/kernels/clones.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <immintrin.h>

namespace souffleur {

namespace {

constexpr int rows_per_group = 8;
constexpr int block_values = 32;

struct block_view {
  const float* scales; ///< (n_groups, 8)
  const float* mins;   ///< (n_groups, 8) or null
  const std::uint8_t* quants;
};

block_view view_of(const packed_matrix& w, const std::byte* block) {
  const auto* floats = reinterpret_cast<const float*>(block);
  const int n_scales = w.n_groups() * rows_per_group;
  const float* mins = w.has_min() ? floats + n_scales : nullptr;
  return {floats, mins, reinterpret_cast<const std::uint8_t*>(floats + n_scales * (w.has_min() ? 2 : 1))};
}

/// One block of 32 weights of one row: w[i] = scale[i / group] * q[i] + min[i / group].
struct plain_block {
  std::array<int, block_values> q{};
  std::array<float, 2> scale{};
  std::array<float, 2> min{};
};

float half_at(const std::uint8_t* p) {
  std::uint16_t bits = 0;
  std::memcpy(&bits, p, 2);
  return half_to_float(bits);
}

void k_scale(const std::uint8_t* s, int j, int& scale, int& min) {
  scale = j < 4 ? s[j] & 63 : (s[j + 4] & 15) | ((s[j - 4] >> 6) << 4);
  min = j < 4 ? s[j + 4] & 63 : (s[j + 4] >> 4) | ((s[j] >> 6) << 4);
}

std::uint32_t word_at(const std::uint8_t* p) {
  std::uint32_t word = 0;
  std::memcpy(&word, p, 4);
  return word;
}

plain_block plain_simple(tensor_type type, const std::uint8_t* p) {
  plain_block b;
  const float d = half_at(p);
  b.scale = {d, d};
  const bool five = type == tensor_type::q5_0 || type == tensor_type::q5_1;
  const bool with_min = type == tensor_type::q4_1 || type == tensor_type::q5_1;
  const int header = with_min ? 4 : 2;
  const std::uint32_t fifth = five ? word_at(p + header) : 0;
  const std::uint8_t* low = p + header + (five ? 4 : 0);
  for (int i = 0; i < block_values; ++i) {
    if (type == tensor_type::q8_0)
      b.q[i] = static_cast<std::int8_t>(p[2 + i]);
    else
      b.q[i] = (i < 16 ? low[i] & 15 : low[i - 16] >> 4) | static_cast<int>(((fifth >> i) & 1U) << 4);
    if (type == tensor_type::q5_0)
      b.q[i] -= 16;
  }
  const float min = with_min ? half_at(p + 2) : (type == tensor_type::q4_0 ? -8.0F * d : 0.0F);
  b.min = {min, min};
  return b;
}

plain_block plain_k45(tensor_type type, const std::uint8_t* p, int j) {
  plain_block b;
  int scale = 0;
  int min = 0;
  k_scale(p + 4, j, scale, min);
  const float s = half_at(p) * static_cast<float>(scale);
  const float m = -(half_at(p + 2) * static_cast<float>(min));
  b.scale = {s, s};
  b.min = {m, m};
  const std::uint8_t* low = p + (type == tensor_type::q4_k ? 16 : 48) + 32 * (j / 2);
  for (int i = 0; i < block_values; ++i) {
    b.q[i] = j % 2 == 0 ? low[i] & 15 : low[i] >> 4;
    if (type == tensor_type::q5_k)
      b.q[i] |= ((p[16 + i] >> j) & 1) << 4;
  }
  return b;
}

plain_block plain_k236(tensor_type type, const std::uint8_t* p, int j) {
  plain_block b;
  for (int g = 0; g < 2; ++g) {
    const int s = 2 * j + g;
    if (type == tensor_type::q6_k) {
      b.scale[g] = half_at(p + 208) * static_cast<float>(static_cast<std::int8_t>(p[192 + s]));
    } else if (type == tensor_type::q2_k) {
      b.scale[g] = half_at(p + 80) * static_cast<float>(p[s] & 15);
      b.min[g] = -(half_at(p + 82) * static_cast<float>(p[s] >> 4));
    } else {
      const int low = s < 8 ? p[96 + s] & 15 : p[96 + s - 8] >> 4;
      b.scale[g] =
          half_at(p + 108) * static_cast<float>((low | (((p[104 + s % 4] >> (2 * (s / 4))) & 3) << 4)) - 32);
    }
  }
  const int half = j / 4;
  const int quarter = j % 4;
  for (int i = 0; i < block_values; ++i) {
    if (type == tensor_type::q6_k) {
      const int byte = p[64 * half + 32 * (quarter % 2) + i];
      const int low = quarter < 2 ? byte & 15 : byte >> 4;
      b.q[i] = (low | (((p[128 + 32 * half + i] >> (2 * quarter)) & 3) << 4)) - 32;
    } else if (type == tensor_type::q2_k) {
      b.q[i] = (p[16 + 32 * half + i] >> (2 * quarter)) & 3;
    } else {
      b.q[i] = ((p[32 + 32 * half + i] >> (2 * quarter)) & 3) - (((p[i] >> j) & 1) != 0 ? 0 : 4);
    }
  }
  return b;
}

plain_block plain_of(tensor_type type, const std::uint8_t* block, int sub_block) {
  switch (type) {
  case tensor_type::q4_k:
  case tensor_type::q5_k:
    return plain_k45(type, block, sub_block);
  case tensor_type::q2_k:
  case tensor_type::q3_k:
  case tensor_type::q6_k:
    return plain_k236(type, block, sub_block);
  default:
    return plain_simple(type, block);
  }
}

bool is_real(tensor_type type) {
  return type == tensor_type::f32 || type == tensor_type::f16 || type == tensor_type::bf16;
}

void store(const plain_block& b, const packed_matrix& w, std::byte* block, int lane) {
  auto* floats = reinterpret_cast<float*>(block);
  const int n_scales = w.n_groups() * rows_per_group;
  for (int g = 0; g < w.n_groups(); ++g) {
    floats[g * rows_per_group + lane] = b.scale[g];
    if (w.has_min())
      floats[n_scales + g * rows_per_group + lane] = b.min[g];
  }
  auto* quants = reinterpret_cast<std::uint8_t*>(floats + n_scales * (w.has_min() ? 2 : 1));
  for (int i = 0; i < block_values; ++i) {
    const int chunk = i / 4;
    const int at = lane * 4 + i % 4;
    if (w.layout() == packed_layout::byte)
      quants[chunk * 32 + at] = static_cast<std::uint8_t>(b.q[i]);
    else
      quants[(chunk / 2) * 32 + at] |= static_cast<std::uint8_t>(chunk % 2 == 0 ? b.q[i] : b.q[i] << 4);
  }
}

/// Activations of all rows, rounded to int8 per block of 32: x = scale * q.
struct quantised_rows {
  int n_blocks = 0;
  std::vector<std::int8_t> q; ///< (n_rows, n_blocks * 32)
  std::vector<float> scale;   ///< (n_rows, n_blocks)
  std::vector<float> sum;     ///< (n_rows, n_blocks, 2): scale * sum of q over each half block
};

SOUFFLEUR_CLONES
void quantise_row(const float* x, quantised_rows& out, int row) {
  constexpr int lanes = 8; // so that the largest is found without a chain of comparisons
  for (int b = 0; b < out.n_blocks; ++b) {
    const float* block = x + b * block_values;
    float largest[lanes] = {};
    for (int i = 0; i < block_values; ++i)
      largest[i % lanes] = std::max(largest[i % lanes], std::fabs(block[i]));
    const float most = *std::max_element(largest, largest + lanes);
    const float scale = most / 127.0F;
    const float inverse = most > 0 ? 127.0F / most : 0.0F;
    const auto at = static_cast<std::size_t>(row) * out.n_blocks + b;
    std::int8_t* quants = out.q.data() + at * block_values;
    int sums[2] = {0, 0};
    for (int half = 0; half < 2; ++half)
      for (int i = half * 16; i < half * 16 + 16; ++i) {
        const int q = static_cast<int>(block[i] * inverse + std::copysign(0.5F, block[i]));
        quants[i] = static_cast<std::int8_t>(q);
        sums[half] += q;
      }
    out.scale[at] = scale;
    out.sum[2 * at] = scale * static_cast<float>(sums[0]);
    out.sum[2 * at + 1] = scale * static_cast<float>(sums[1]);
  }
}

/// One group of eight outputs for one row of activations; y is (8,).
void group_portable(const packed_matrix& w, const std::byte* group, const quantised_rows& x, int row,
                    float* y) {
  float total[rows_per_group] = {};
  const std::size_t stride = w.block_bytes();
  for (int b = 0; b < x.n_blocks; ++b, group += stride) {
    const auto view = view_of(w, group);
    const auto at = static_cast<std::size_t>(row) * x.n_blocks + b;
    const std::int8_t* a = x.q.data() + at * block_values;
    int sums[2][rows_per_group] = {};
    for (int i = 0; i < block_values; ++i)
      for (int r = 0; r < rows_per_group; ++r) {
        const int chunk = i / 4;
        int q = 0;
        if (w.layout() == packed_layout::byte) {
          q = static_cast<std::int8_t>(view.quants[chunk * 32 + r * 4 + i % 4]);
        } else {
          const int both = view.quants[(chunk / 2) * 32 + r * 4 + i % 4];
          q = chunk % 2 == 0 ? both & 15 : both >> 4;
        }
        sums[w.n_groups() == 2 ? i / 16 : 0][r] += q * a[i];
      }
    for (int g = 0; g < w.n_groups(); ++g)
      for (int r = 0; r < rows_per_group; ++r) {
        total[r] += view.scales[g * 8 + r] * x.scale[at] * static_cast<float>(sums[g][r]);
        if (view.mins)
          total[r] += view.mins[g * 8 + r] *
                      (w.n_groups() == 2 ? x.sum[2 * at + g] : x.sum[2 * at] + x.sum[2 * at + 1]);
      }
  }
  std::copy(total, total + rows_per_group, y);
}

void group_real_portable(const packed_matrix& w, const float* weights, const float* x, float* y) {
  float total[rows_per_group] = {};
  for (int k = 0; k < w.n_in(); ++k)
    for (int r = 0; r < rows_per_group; ++r)
      total[r] += weights[k * rows_per_group + r] * x[k];
  std::copy(total, total + rows_per_group, y);
}

#define SOUFFLEUR_AVX2 __attribute__((target("avx2,fma")))

inline std::int32_t four_inputs(const std::int8_t* a) {
  std::int32_t four = 0;
  std::memcpy(&four, a, 4);
  return four;
}

/// M rows at once over one group: the weights are read once for all of them. The sequence of operations on
/// one row's accumulator is the same for every M.
template <int M>
SOUFFLEUR_AVX2 void nibble_avx2(const packed_matrix& w, const std::byte* group, const quantised_rows& x,
                                int row, float (*y)[rows_per_group]) {
  __m256 total[M];
  for (int m = 0; m < M; ++m)
    total[m] = _mm256_setzero_ps();
  const __m256i low = _mm256_set1_epi8(15);
  const __m256i one = _mm256_set1_epi16(1);
  const std::size_t stride = w.block_bytes();
  for (int b = 0; b < x.n_blocks; ++b, group += stride) {
    const auto view = view_of(w, group);
    __m256i sum[M]; // 16-bit: 16 products of at most 15 * 127 stay below 2^15
    for (int m = 0; m < M; ++m)
      sum[m] = _mm256_setzero_si256();
    for (int g = 0; g < 4; ++g) {
      const __m256i both = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(view.quants + 32 * g));
      const __m256i even = _mm256_and_si256(both, low);
      const __m256i odd = _mm256_and_si256(_mm256_srli_epi16(both, 4), low);
      for (int m = 0; m < M; ++m) {
        const std::int8_t* a =
            x.q.data() + (static_cast<std::size_t>(row + m) * x.n_blocks + b) * block_values;
        sum[m] =
            _mm256_add_epi16(sum[m], _mm256_maddubs_epi16(even, _mm256_set1_epi32(four_inputs(a + 8 * g))));
        sum[m] = _mm256_add_epi16(sum[m],
                                  _mm256_maddubs_epi16(odd, _mm256_set1_epi32(four_inputs(a + 8 * g + 4))));
      }
    }
    const __m256 scale = _mm256_loadu_ps(view.scales);
    const __m256 min = _mm256_loadu_ps(view.mins);
    for (int m = 0; m < M; ++m) {
      const auto at = static_cast<std::size_t>(row + m) * x.n_blocks + b;
      const __m256 products = _mm256_cvtepi32_ps(_mm256_madd_epi16(sum[m], one));
      total[m] = _mm256_fmadd_ps(_mm256_mul_ps(scale, _mm256_set1_ps(x.scale[at])), products, total[m]);
      total[m] = _mm256_fmadd_ps(min, _mm256_set1_ps(x.sum[2 * at] + x.sum[2 * at + 1]), total[m]);
    }
  }
  for (int m = 0; m < M; ++m)
    _mm256_storeu_ps(y[m], total[m]);
}

template <int M, int Groups, bool Min>
SOUFFLEUR_AVX2 void byte_avx2(const packed_matrix& w, const std::byte* group, const quantised_rows& x,
                              int row, float (*y)[rows_per_group]) {
  __m256 total[M];
  for (int m = 0; m < M; ++m)
    total[m] = _mm256_setzero_ps();
  const __m256i one = _mm256_set1_epi16(1);
  const std::size_t stride = w.block_bytes();
  for (int b = 0; b < x.n_blocks; ++b, group += stride) {
    const auto view = view_of(w, group);
    for (int g = 0; g < Groups; ++g) {
      __m256i sum[M];
      for (int m = 0; m < M; ++m)
        sum[m] = _mm256_setzero_si256();
      constexpr int chunks = 8 / Groups;
      for (int c = g * chunks; c < (g + 1) * chunks; ++c) {
        const __m256i q = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(view.quants + 32 * c));
        const __m256i magnitude = _mm256_abs_epi8(q);
        for (int m = 0; m < M; ++m) {
          const std::int8_t* a =
              x.q.data() + (static_cast<std::size_t>(row + m) * x.n_blocks + b) * block_values;
          const __m256i pairs =
              _mm256_maddubs_epi16(magnitude, _mm256_sign_epi8(_mm256_set1_epi32(four_inputs(a + 4 * c)), q));
          sum[m] = _mm256_add_epi32(sum[m], _mm256_madd_epi16(pairs, one));
        }
      }
      const __m256 scale = _mm256_loadu_ps(view.scales + 8 * g);
      for (int m = 0; m < M; ++m) {
        const auto at = static_cast<std::size_t>(row + m) * x.n_blocks + b;
        total[m] = _mm256_fmadd_ps(_mm256_mul_ps(scale, _mm256_set1_ps(x.scale[at])),
                                   _mm256_cvtepi32_ps(sum[m]), total[m]);
        if constexpr (Min) {
          const float s = Groups == 2 ? x.sum[2 * at + g] : x.sum[2 * at] + x.sum[2 * at + 1];
          total[m] = _mm256_fmadd_ps(_mm256_loadu_ps(view.mins + 8 * g), _mm256_set1_ps(s), total[m]);
        }
      }
    }
  }
  for (int m = 0; m < M; ++m)
    _mm256_storeu_ps(y[m], total[m]);
}

SOUFFLEUR_AVX2 void group_real_avx2(const packed_matrix& w, const float* weights, const float* x, float* y) {
  __m256 total = _mm256_setzero_ps();
  for (int k = 0; k < w.n_in(); ++k)
    total = _mm256_fmadd_ps(_mm256_loadu_ps(weights + k * rows_per_group), _mm256_set1_ps(x[k]), total);
  _mm256_storeu_ps(y, total);
}

template <int M>
void group_avx2(const packed_matrix& w, const std::byte* group, const quantised_rows& x, int row,
                float (*y)[rows_per_group]) {
  if (w.layout() == packed_layout::nibble)
    nibble_avx2<M>(w, group, x, row, y);
  else if (w.n_groups() == 2)
    w.has_min() ? byte_avx2<M, 2, true>(w, group, x, row, y) : byte_avx2<M, 2, false>(w, group, x, row, y);
  else
    w.has_min() ? byte_avx2<M, 1, true>(w, group, x, row, y) : byte_avx2<M, 1, false>(w, group, x, row, y);
}

/// Stores the `n` valid outputs of a group.
void store_outputs(const float* tile, int n, const float* bias, bool accumulate, float* y) {
  for (int i = 0; i < n; ++i) {
    const float product = bias ? tile[i] + bias[i] : tile[i];
    y[i] = accumulate ? y[i] + product : product;
  }
}

int n_row_groups(const packed_matrix& w) { return (w.n_out() + rows_per_group - 1) / rows_per_group; }

/// Outputs [first, last) of the groups, for all rows.
void matmul_groups(const packed_matrix& w, const quantised_rows& rounded, const float* x, int n_rows,
                   float* y, std::ptrdiff_t y_stride, const matmul_epilogue& epilogue, int first, int last,
                   isa level) {
  float tile[4][rows_per_group];
  for (int g = first; g < last; ++g) {
    const std::byte* group = w.row_group(g);
    const int n_valid = std::min(rows_per_group, w.n_out() - g * rows_per_group);
    for (int row = 0; row < n_rows;) {
      int n = 1;
      if (w.layout() == packed_layout::real) {
        const auto* weights = reinterpret_cast<const float*>(group);
        const float* in = x + static_cast<std::ptrdiff_t>(row) * w.n_in();
        level == isa::avx2 ? group_real_avx2(w, weights, in, tile[0])
                           : group_real_portable(w, weights, in, tile[0]);
      } else if (level == isa::portable) {
        group_portable(w, group, rounded, row, tile[0]);
      } else if (n_rows - row >= 4) {
        group_avx2<4>(w, group, rounded, row, tile);
        n = 4;
      } else if (n_rows - row >= 2) {
        group_avx2<2>(w, group, rounded, row, tile);
        n = 2;
      } else {
        group_avx2<1>(w, group, rounded, row, tile);
      }
      for (int m = 0; m < n; ++m)
        store_outputs(tile[m], n_valid, epilogue.bias ? epilogue.bias + g * rows_per_group : nullptr,
                      epilogue.accumulate, y + (row + m) * y_stride + g * rows_per_group);
      row += n;
    }
  }
}

} // namespace

std::size_t packed_matrix::block_bytes() const {
  if (layout_ == packed_layout::real)
    return block_values * rows_per_group * sizeof(float);
  const std::size_t scales =
      static_cast<std::size_t>(n_groups_) * rows_per_group * sizeof(float) * (has_min_ ? 2 : 1);
  return scales + (layout_ == packed_layout::nibble ? 128 : 256);
}

const std::byte* packed_matrix::row_group(int index) const {
  const std::size_t group_bytes = layout_ == packed_layout::real
                                      ? static_cast<std::size_t>(n_in_) * rows_per_group * sizeof(float)
                                      : static_cast<std::size_t>(n_in_ / block_values) * block_bytes();
  return data_.data() + static_cast<std::size_t>(index) * group_bytes;
}

packed_matrix packed_matrix::pack(tensor_type type, std::span<const std::byte> source, int n_out, int n_in) {
  packed_matrix w;
  w.n_out_ = n_out;
  w.n_in_ = n_in;
  const bool nibble = type == tensor_type::q4_0 || type == tensor_type::q4_1 || type == tensor_type::q4_k;
  w.layout_ = is_real(type) ? packed_layout::real : nibble ? packed_layout::nibble : packed_layout::byte;
  w.has_min_ = nibble || type == tensor_type::q5_1 || type == tensor_type::q5_k || type == tensor_type::q2_k;
  w.n_groups_ = type == tensor_type::q6_k || type == tensor_type::q3_k || type == tensor_type::q2_k ? 2 : 1;
  const int n_row_groups = (n_out + rows_per_group - 1) / rows_per_group;
  w.data_.resize(static_cast<std::size_t>(w.row_group(n_row_groups) - w.row_group(0)));
  const auto shape = block_shape_of(type);
  const std::size_t row_bytes = static_cast<std::size_t>(n_in / shape.n_values) * shape.n_bytes;
  std::vector<float> values(static_cast<std::size_t>(n_in));
  for (int o = 0; o < n_out; ++o) {
    auto* group = const_cast<std::byte*>(w.row_group(o / rows_per_group));
    const int lane = o % rows_per_group;
    const auto row = source.subspan(static_cast<std::size_t>(o) * row_bytes, row_bytes);
    if (w.layout_ == packed_layout::real) {
      dequantize(type, row, values);
      for (int k = 0; k < n_in; ++k)
        reinterpret_cast<float*>(group)[k * rows_per_group + lane] = values[static_cast<std::size_t>(k)];
      continue;
    }
    const int subs = shape.n_values / block_values;
    for (int b = 0; b < n_in / block_values; ++b) {
      const auto* p = reinterpret_cast<const std::uint8_t*>(row.data()) + (b / subs) * shape.n_bytes;
      store(plain_of(type, p, b % subs), w, group + static_cast<std::size_t>(b) * w.block_bytes(), lane);
    }
  }
  return w;
}

void matmul(const packed_matrix& weights, const float* x, int n_rows, float* y, std::ptrdiff_t y_stride,
            thread_team& team, isa level) {
  matmul_stacked({&weights, 1}, x, n_rows, y, y_stride, {}, team, level);
}

void matmul_stacked(std::span<const packed_matrix> stack, const float* x, int n_rows, float* y,
                    std::ptrdiff_t y_stride, const matmul_epilogue& epilogue, thread_team& team, isa level) {
  thread_local quantised_rows rounded; // keeps its storage from call to call
  auto& shared = rounded;
  const int n_in = stack.front().n_in();
  if (std::any_of(stack.begin(), stack.end(),
                  [](const auto& w) { return w.layout() != packed_layout::real; })) {
    shared.n_blocks = n_in / block_values;
    const auto n_blocks = static_cast<std::size_t>(n_rows) * shared.n_blocks;
    shared.q.resize(n_blocks * block_values);
    shared.scale.resize(n_blocks);
    shared.sum.resize(2 * n_blocks);
    const auto round_rows = [&](int index, int n_threads) {
      for (int row = index; row < n_rows; row += n_threads)
        quantise_row(x + static_cast<std::ptrdiff_t>(row) * n_in, shared, row);
    };
    if (n_rows < 4)
      round_rows(0, 1);
    else
      team.run(round_rows);
  }
  int n_groups = 0;
  for (const auto& w : stack)
    n_groups += n_row_groups(w);
  team.run([&](int index, int n_threads) {
    int first = n_groups * index / n_threads;
    int last = n_groups * (index + 1) / n_threads;
    float* out = y;
    matmul_epilogue rest = epilogue;
    for (const auto& w : stack) {
      const int n_own = n_row_groups(w);
      matmul_groups(w, shared, x, n_rows, out, y_stride, rest, std::clamp(first, 0, n_own),
                    std::clamp(last, 0, n_own), level);
      first -= n_own;
      last -= n_own;
      out += w.n_out();
      rest.bias = rest.bias ? rest.bias + w.n_out() : nullptr;
    }
  });
}

void unpack_row(const packed_matrix& w, int row, float* out) {
  const std::byte* group = w.row_group(row / rows_per_group);
  const int lane = row % rows_per_group;
  if (w.layout() == packed_layout::real) {
    for (int k = 0; k < w.n_in(); ++k)
      out[k] = reinterpret_cast<const float*>(group)[k * rows_per_group + lane];
    return;
  }
  for (int b = 0; b < w.n_in() / block_values; ++b, group += w.block_bytes()) {
    const auto view = view_of(w, group);
    for (int i = 0; i < block_values; ++i) {
      const int chunk = i / 4;
      const int at = lane * 4 + i % 4;
      const int both = view.quants[(chunk / 2) * 32 + at];
      const int q = w.layout() == packed_layout::byte ? static_cast<std::int8_t>(view.quants[chunk * 32 + at])
                    : chunk % 2 == 0                  ? both & 15
                                                      : both >> 4;
      const int g = w.n_groups() == 2 ? i / 16 : 0;
      const float product = view.scales[8 * g + lane] * static_cast<float>(q);
      out[b * block_values + i] = view.mins ? product + view.mins[8 * g + lane] : product;
    }
  }
}

} // namespace souffleur
