// What to measure, as the command line says it.
#pragma once

#include "engine/gguf.hpp"

#include <string>
#include <variant>
#include <vector>

namespace souffleur::bench {

struct kernel_shape {
  int n_out = 4096;
  int n_in = 4096;
};

struct options {
  std::vector<std::string> models = {"smollm2"}; ///< GGUF files, or names of some in model_folder
  std::string model_folder;
  std::vector<int> threads; ///< at least one

  std::vector<int> prefill_tokens; ///< empty: no prefill
  std::vector<int> depths = {0};   ///< positions in the cache before the timed ones
  std::vector<int> batches;        ///< sequences of a decode step; empty: no decode
  int decode_steps = 32;
  int chunk_tokens = 512; ///< most rows of a forward pass of a prefill

  bool curve = false;
  std::vector<int> curve_rows;
  bool profile = false;
  int profile_prefill_tokens = 0;
  std::vector<int> profile_batches;
  bool kernels = false;
  std::vector<tensor_type> kernel_formats;
  std::vector<int> kernel_rows = {1, 2, 4, 8, 16, 32, 64, 128, 512};
  kernel_shape shape;

  int repeats = 5;
  bool as_json = false;
  std::string output; ///< a file; empty: standard output

  bool needs_model() const { return !prefill_tokens.empty() || !batches.empty() || curve || profile; }
  /// Most rows that any run appends to one sequence beyond a depth.
  int most_new_positions() const;
  int most_sequences() const;
};

/// What the process should do instead: print `text` and leave with `code`.
struct command_line_exit {
  int code = 0;
  std::string text;
};

std::variant<options, command_line_exit> parse_command_line(int argc, const char* const* argv);

} // namespace souffleur::bench
