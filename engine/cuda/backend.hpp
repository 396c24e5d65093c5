// The operations of a forward pass on a device, and the same on the host as their reference. No CUDA here.
#pragma once

#include "engine/cuda/device_matrix.hpp"
#include "engine/cuda/packed_block.hpp"
#include "engine/kernels/activation.hpp"
#include "engine/result.hpp"
#include "engine/token_draw.hpp"
#include "policies/token.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace souffleur::cuda {

/// Positions whose weighted values are summed up apart from the others'.
constexpr int part_tokens = 128;

/// Rows rounded to int8 per block of 32 inputs, so n_in is a multiple of 32; in tiles, and padded to whole
/// ones.
struct rounded_rows {
  std::int8_t* quants = nullptr; ///< (padded_rows / tile_rows, blocks, tile_rows, 32)
  block_stats* stats = nullptr;  ///< (padded_rows / tile_rows, blocks, tile_rows)
};

/// What a product reads: quantised weights the rounded rows, real ones the rows as they are. Either may be
/// null where nobody reads it.
struct activation_rows {
  float* rows = nullptr; ///< (n_rows, n_in)
  rounded_rows rounded{};
};

/// y (n_rows, n_out) = x W^T + bias, rows `y_stride` apart; or with a gate, for matrices whose even rows are
/// the gate's and whose odd ones are up's, y (n_rows, n_out / 2) = act(gate) * up.
struct matmul_call {
  device_matrix weights{};
  activation_rows x{};
  int n_rows = 0;
  float* y = nullptr;
  int y_stride = 0;
  const float* bias = nullptr; ///< (n_out,) or null; none with a gate
  bool accumulate = false;     ///< y += instead of y =; not with a gate
  bool is_gated = false;
  activation gate = activation::silu;
};

/// Of a row that is normed.
constexpr int most_norm_values = 8192;

/// Row i is row from_rows[i] of x (null: row i), divided by its rms and multiplied with `weight` if there is
/// one. Source: Zhang and Sennrich 2019.
struct norm_call {
  const float* x = nullptr; ///< (., n)
  const std::int32_t* from_rows = nullptr;
  const float* weight = nullptr;
  float epsilon = 0;
  int n_rows = 0;
  int n = 0;               ///< with a weight most_norm_values at most
  activation_rows out{};   ///< (n_rows, n)
  bool accumulate = false; ///< out.rows +=; nothing is rounded then
};

/// One layer's keys and values, of a page both (n_kv_heads, page_tokens, head_dim) halves. A page is one
/// piece with all layers' parts of it, so that it is copied, saved and loaded as one.
struct kv_pages {
  std::uint16_t* keys = nullptr;
  std::uint16_t* values = nullptr;
  std::ptrdiff_t page_stride = 0; ///< in halves
  int n_kv_heads = 0;
  int head_dim = 0; ///< 32, 64, 128 or 256
};

/// Rows that stand next to each other and have the same line: they read the same keys and values.
struct row_tile {
  std::int32_t first_row = 0;
  std::int32_t n_rows = 0;
};

/// Where rows stand. A drafted tree is several lines, as in tree_lines: a row sees its line up to its own
/// place, which is a tree mask without a mask.
struct row_places {
  const std::int32_t* lines = nullptr;      ///< (n_rows,): of page_table
  const std::int32_t* places = nullptr;     ///< (n_rows,): positions less those that the line has dropped
  const std::int32_t* page_table = nullptr; ///< page of place p is [line][p / page_tokens]
  int table_width = 0;
  int n_rows = 0;
};

/// Of qkv (n_rows, n_heads + 2 n_kv_heads, head_dim): the queries' and the keys' pairs (i, i + head_dim / 2)
/// are turned by the angles of their positions; queries stay where they are, keys and values go to their
/// pages. Source: Su et al. 2021.
struct store_call {
  float* qkv = nullptr;
  int n_heads = 0;
  const float* cosines = nullptr; ///< (angles, head_dim / 2)
  const float* sines = nullptr;
  const std::int32_t* angles = nullptr; ///< (n_rows,): by which each is turned; null: those of their places
  row_places rows{};
  const std::int32_t* copies = nullptr; ///< (n_copies, 2): rows, and other lines where they are stored, too
  int n_copies = 0;
  kv_pages kv{};
  const float* q_norm = nullptr; ///< (head_dim,): queries and keys are normed by head before; null: not
  const float* k_norm = nullptr;
  float epsilon = 0;
};

/// The keys of a page are turned on by one angle. Source: StreamingLLM (arXiv 2309.17453), its sinks.
struct turn_call {
  kv_pages kv{};
  page_id page = 0;
  const float* cosines = nullptr; ///< (head_dim / 2,)
  const float* sines = nullptr;
};

/// out (n_rows, n_heads * head_dim) = softmax(q K * scale) V over the places (place - window, place]
/// of each row's line; 0: all. Parts of part_tokens places, at fixed ones, are put together in order.
struct attention_call {
  const float* qkv = nullptr; ///< as store_call leaves it
  int n_heads = 0;
  float scale = 1;
  int window = 0;
  row_places rows{};
  const row_tile* tiles = nullptr;
  int n_tiles = 0;
  int n_parts = 0; ///< that the longest line has, at least
  kv_pages kv{};
  float* workspace = nullptr; ///< (n_rows, n_heads, n_parts, head_dim + 2)
  activation_rows out{};
};

/// choices[i] = the most likely token of logits row i; of several the first, as argmax() has it.
struct argmax_call {
  const float* logits = nullptr; ///< (n_rows, n_vocabulary)
  int n_rows = 0;
  int n_vocabulary = 0;
  std::uint64_t* workspace = nullptr; ///< (n_rows, argmax_chunks(n_vocabulary))
  std::int32_t* choices = nullptr;
};
constexpr int argmax_chunk = 2048;
constexpr int argmax_chunks(int n_vocabulary) { return (n_vocabulary + argmax_chunk - 1) / argmax_chunk; }

/// Of a row that is drawn from.
constexpr int most_drawn_tokens = 1 << 19;

/// choices[i], which choose() has found, becomes a token drawn as draws[i] says: one of those that
/// next_token_distribution() would leave, with the share that it would give it, rounded (shares.hpp). Where
/// there is no temperature, or the largest logit is not finite, it stays.
struct draw_call {
  const float* logits = nullptr; ///< (n_rows, n_vocabulary)
  int n_rows = 0;
  int n_vocabulary = 0; ///< most_drawn_tokens at most
  const token_draw* draws = nullptr;
  std::int32_t* choices = nullptr;
};

/// Which drafted tokens stand: those that were chosen, as policies/exact_match decides. Rows [first_rows[s],
/// first_rows[s + 1]) are the tree of sequence s: the first is its last committed token, the others drafted.
struct acceptance_call {
  const std::int32_t* first_rows = nullptr; ///< (n_sequences + 1,)
  const std::int32_t* tokens = nullptr;     ///< of each row
  const std::int32_t* parents = nullptr;    ///< of each row, in its sequence and before it; -1: the first
  const std::int32_t* choices = nullptr;    ///< of each row
  int n_sequences = 0;
  int most_tokens = 0;
  std::int32_t* emitted = nullptr;   ///< (n_sequences, most_tokens): those that stand, then one more
  std::int32_t* n_emitted = nullptr; ///< (n_sequences,)
  std::int32_t* last_rows = nullptr; ///< (n_sequences,), in the sequence: where the path that stands ends
};

/// The next step of sequences of one row each: their tokens become the choices, their places one more.
struct advance_call {
  const std::int32_t* choices = nullptr;
  std::int32_t* tokens = nullptr;
  std::int32_t* places = nullptr;
  std::int32_t* history = nullptr; ///< (n_rows, history_width): the choice made at each place
  int history_width = 0;
  int n_rows = 0;
};

/// Memory and operations of a device. Operations are queued and run in order; upload(), download() and
/// take_error() wait. Pointers in calls are the device's. A row's result never depends on other rows or on
/// how many there are, bit by bit, and all backends give the same bits.
class backend {
public:
  virtual ~backend() = default;
  virtual std::string name() const = 0;

  /// To be called in a thread before anything else.
  virtual void enter() {}
  /// Zeroed. Null if there is no memory left.
  virtual std::shared_ptr<std::byte> allocate(std::size_t size_bytes) = 0;
  /// Memory of the host that the device reaches by itself: queue_upload()'s source, and soonest to copy to.
  virtual std::shared_ptr<std::byte> allocate_on_host(std::size_t size_bytes) = 0;
  /// `from` is of allocate_on_host(), and stays as it is until the next wait.
  virtual void queue_upload(const void* from, void* to, std::size_t size_bytes) = 0;
  virtual void upload(const void* from, void* to, std::size_t size_bytes) = 0;
  /// Waits for all that was queued.
  virtual void download(const void* from, void* to, std::size_t size_bytes) = 0;
  /// From one place of the device's memory to another.
  virtual void copy(const void* from, void* to, std::size_t size_bytes) = 0;
  virtual void wait() {}
  /// Waits, too. What went wrong since the last call; empty: nothing.
  virtual std::string take_error() = 0;

  /// x (n_rows, n_in) = scale * rows `tokens` of the weights.
  virtual void embed(const device_matrix& weights, const std::int32_t* tokens, int n_rows, float scale,
                     float* x) = 0;
  virtual void normalise(const norm_call& call) = 0;
  virtual void multiply(const matmul_call& call) = 0;
  virtual void rotate_and_store(const store_call& call) = 0;
  virtual void turn(const turn_call& call) = 0;
  virtual void attend(const attention_call& call) = 0;
  virtual void choose(const argmax_call& call) = 0;
  virtual void draw(const draw_call& call) = 0;
  virtual void accept(const acceptance_call& call) = 0;
  virtual void advance(const advance_call& call) = 0;

  /// What `queue` queues, to be repeated as it is: pointers and sizes stay, contents may change.
  using step = std::function<void()>;
  virtual step record(const step& queue) = 0;
};

/// One value after the other: what a device's kernels are compared with.
std::unique_ptr<backend> make_host_backend();

} // namespace souffleur::cuda
