// The order of a head's dimensions.
#pragma once

namespace souffleur {

/// Where the row stands in a file that becomes `row`: heads whose pairs (2 i, 2 i + 1) rope turns, as GGUF's
/// llama has them, are brought into the order (i, i + head_dim / 2). Scores are sums over a head in any
/// order, as long as queries and keys agree.
constexpr int row_of_pairs(int row, int head_dim) {
  const int in_head = row % head_dim;
  const int half = head_dim / 2;
  return row - in_head + (in_head < half ? 2 * in_head : 2 * (in_head - half) + 1);
}

} // namespace souffleur
