// Attention of the rows of a batch over paged keys and values.
#pragma once

#include "engine/kernels/isa.hpp"
#include "engine/kernels/kv_layer.hpp"
#include "engine/kernels/thread_team.hpp"

#include <cstddef>
#include <cstdint>

namespace souffleur {

/// Where the rows of a batch stand.
struct row_places {
  int n_rows = 0;
  const std::int32_t* sequences = nullptr; ///< (n_rows,): the row's line of page_table
  const std::int32_t* positions = nullptr; ///< (n_rows,)
  const page_id* page_table = nullptr;     ///< page of position p is [sequence][p / page_tokens]
  std::ptrdiff_t table_width = 0;
  /// (n_lines,): which lines are of one sequence: where they have the same pages, those are read once for the
  /// rows of all. Null: each line is a sequence of its own.
  const std::int32_t* owners = nullptr;

  int owner_of(int row) const { return owners ? owners[sequences[row]] : sequences[row]; }
  const page_id* pages_of(int row) const { return page_table + sequences[row] * table_width; }
};

struct attention_rows {
  const float* q = nullptr; ///< (n_rows, n_heads, head_dim), rows `q_stride` apart
  std::ptrdiff_t q_stride = 0;
  float* out = nullptr; ///< the same shape, rows `out_stride` apart
  std::ptrdiff_t out_stride = 0;
  int n_heads = 0; ///< a multiple of the KV heads: neighbours share one
  float scale = 1;
  int window = 0; ///< a row at position p sees (p - window, p]; 0: all up to its own
};

/// out = softmax(q · K * scale) V for every row. A row's result is bit-identical whatever other rows there
/// are and however many threads: positions are folded in blocks, and blocks in parts of 128, at fixed places.
void attend(const kv_layer& layer, const row_places& places, const attention_rows& rows, thread_team& team,
            isa level);

} // namespace souffleur
