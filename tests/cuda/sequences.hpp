// Sequences that are decoded side by side, each with pages of its own.
#pragma once

#include "engine/cuda/decoder.hpp"

#include <algorithm>
#include <cstdio>
#include <string>

namespace souffleur::cuda {

/// Rows [first, first + tokens) of one sequence.
struct rows_of_sequence {
  int line = 0;
  int first_position = 0;
  std::span<const std::int32_t> tokens;
  bool samples_all = false; ///< else the last one
};

/// Line i has the pages [i n, (i + 1) n). `n_places`: of the longest line, now and in replays.
inline row_batch batch_of(std::span<const rows_of_sequence> sequences, int n_lines, int pages_of_line,
                          int n_places) {
  row_batch batch;
  batch.table_width = pages_of_line;
  for (int page = 0; page < n_lines * pages_of_line; ++page)
    batch.page_table.push_back(page);
  for (const auto& rows : sequences)
    for (std::size_t i = 0; i < rows.tokens.size(); ++i) {
      if (rows.samples_all || i + 1 == rows.tokens.size())
        batch.sampled.push_back(batch.n_rows());
      batch.tokens.push_back(rows.tokens[i]);
      batch.places.push_back(rows.first_position + static_cast<int>(i));
      batch.lines.push_back(rows.line);
    }
  batch.n_places = n_places;
  return batch;
}

} // namespace souffleur::cuda
