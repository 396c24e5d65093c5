// What each instruction set implements. The rest of the kernels is plain C++ around these.
#pragma once

#include "engine/kernels/activation.hpp"
#include "engine/kernels/activations.hpp"
#include "engine/kernels/isa.hpp"
#include "engine/kernels/kv_layer.hpp"
#include "engine/kernels/packed_matrix.hpp"

#include <span>

namespace souffleur {

constexpr int attention_block_tokens = 64; ///< positions between two rescalings of the online softmax
constexpr int max_tile_queries = 12;
constexpr int max_head_dim = 256;

/// Query heads that share one KV head of one sequence. Query j sees the positions [first[j], end[j]).
struct attention_tile {
  const kv_layer* layer = nullptr;
  const page_id* pages = nullptr; ///< of the sequence, by position / page_tokens
  int kv_head = 0;
  int n_queries = 0;        ///< one of kernel_table::tile_sizes
  const float* q = nullptr; ///< (head_dim, n_queries), scaled
  const int* first = nullptr;
  const int* end = nullptr;
};

/// Online softmax of a tile's queries over some positions: their weighted values, largest scores and masses.
struct attention_state {
  float totals[max_tile_queries * max_head_dim]; ///< (n_queries, head_dim)
  float largest[max_tile_queries];               ///< -infinity: nothing seen yet
  float masses[max_tile_queries][16];            ///< to be added up
};

/// Weights to fetch while others are multiplied: of every block b of a pair with b % step == phase, what is
/// `bytes` later; none if 0.
struct fetch_ahead {
  int bytes = 0;
  int step = 1;
  int phase = 0;

  bool wants(int block) const { return bytes != 0 && block % step == phase; }
};

/// Functions of one instruction set. avx2 and avx512 give the same bits.
struct kernel_table {
  /// out (2, n_rows, 16) = the panel's rows times the pair's groups of sixteen.
  using tile_function = void (*)(const weight_pair& pair, const activation_panel& panel,
                                 const fetch_ahead& ahead, float* out);

  int max_panel_rows; ///< there is a tile function for as many rows and for less
  /// Up to how many rows a tile reads its pair front to back, so that the hardware fetches it ahead.
  int (*max_streaming_rows)(const packed_format& format);
  tile_function (*tile_of)(tensor_type type, int n_rows);
  /// y (n_rows, 16), rows `stride` apart, = tile (n_rows, 16) + bias (16,), added to what y has if so wanted.
  void (*store_tile)(const float* tile, int n_rows, const float* bias, bool accumulate, float* y,
                     std::ptrdiff_t stride);
  /// Rounds x (n_in,) to row `row` of a panel.
  void (*round_row)(const float* x, const activation_panel& panel, int row);

  /// y = x / rms(x) * weight; (n,). Source: Zhang and Sennrich 2019.
  void (*rms_norm)(const float* x, const float* weight, float epsilon, float* y, int n);
  /// y = (x - mean(x)) / deviation(x) * weight + bias; (n,); y may be x. Source: Ba et al. 2016.
  void (*layer_norm)(const float* x, const float* weight, const float* bias, float epsilon, float* y, int n);
  /// y[i] = x[i] * Φ(x[i]), of the error function itself and no approximation with tanh; y may be x. Source:
  /// Hendrycks and Gimpel 2016.
  void (*gelu)(const float* x, float* y, int n);
  /// y[i] = act(gate[i]) * up[i]. Source: Shazeer 2020.
  void (*gate)(activation kind, const float* gate, const float* up, float* y, int n);
  /// Rotates the pairs (x[i], x[i + half]) of one head by the angles given. Source: Su et al. 2021.
  void (*rotate)(float* x, const float* cosines, const float* sines, int half);
  /// x (n,) times the orthogonal Hadamard matrix; n is a power of two. Queries and keys that are both spread
  /// have the same products, but no dimension far larger than the others, which int8 keys could not bear.
  /// Source: Ashkboos et al. 2024 (QuaRot).
  void (*spread)(float* x, int n);
  /// The scalar product of x and y, both (n,).
  float (*dot)(const float* x, const float* y, int n);
  /// Stores one position's keys and values, both (n_kv_heads, head_dim).
  void (*write_kv)(const kv_layer& layer, page_id page, int slot, const float* keys, const float* values);

  std::span<const int> tile_sizes; ///< n_queries that there is an attention tile for, ascending
  /// Makes `state` that of the positions [begin, end). `begin` is a multiple of attention_block_tokens.
  void (*attend)(const attention_tile& tile, int begin, int end, attention_state& state);
  /// Adds the later positions of `more` to `state`.
  void (*merge)(const attention_tile& tile, const attention_state& more, attention_state& state);
  /// The values' weighted mean; out (n_queries, head_dim).
  void (*finish)(const attention_tile& tile, const attention_state& state, float* out);
};

/// REQUIRES: the CPU has `level`.
const kernel_table& kernels_of(isa level);

const kernel_table& portable_kernels();
#if defined(__x86_64__)
const kernel_table& avx2_kernels();
const kernel_table& avx512_kernels();
#endif

} // namespace souffleur
