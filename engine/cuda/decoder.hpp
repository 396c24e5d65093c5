// A transformer on a backend: its weights, its pages of keys and values, and the operations of a step.
#pragma once

#include "engine/cuda/backend.hpp"
#include "engine/model/transformer_config.hpp"

#include <span>
#include <string_view>
#include <utility>

namespace souffleur::cuda {

/// Rows that are computed together, as the host describes them.
struct row_batch {
  std::vector<std::int32_t> tokens;
  std::vector<std::int32_t> positions;
  std::vector<std::int32_t> lines;      ///< rows of the same line stand next to each other
  std::vector<std::int32_t> page_table; ///< (lines, table_width)
  int table_width = 0;
  std::vector<std::int32_t> copies;  ///< (n, 2): rows, and other lines where they are stored, too
  std::vector<std::int32_t> sampled; ///< rows whose next token is wanted, ascending
  /// Positions that no row sees more of; of a recorded step also in later replays.
  int n_positions = 0;

  int n_rows() const { return static_cast<int>(tokens.size()); }
};

/// What memory is set aside for.
struct decoder_limits {
  int n_rows = 16;
  int n_lines = 16;
  int n_positions = 2048; ///< of a line
  int n_pages = 128;
};

/// Of a name the tensor; null: there is none.
using tensor_finder = std::function<const gguf_tensor*(std::string_view name)>;

/// Not for several threads at once. REQUIRES: the backend outlives it.
class decoder {
public:
  /// The error names the tensor or the setting that is not supported: architectures with further norms, types
  /// without a layout, gate and up of different types.
  static result<std::unique_ptr<decoder>> load(const transformer_config& config, const tensor_finder& find,
                                               const decoder_limits& limits, backend& device);

  const transformer_config& config() const { return config_; }
  /// Of all matrices that a step reads from end to end; the embedding only where it is the output matrix.
  std::size_t weight_bytes() const { return weight_bytes_; }

  /// The batch of the next steps.
  void set_batch(const row_batch& batch);
  /// Queues the batch's step: keys and values are stored, choices() are made.
  void queue_step();
  /// Queues the next step's tokens and positions: the choices, one further. REQUIRES: all rows are sampled.
  void queue_advance();

  /// (sampled,), after the queued steps.
  std::vector<std::int32_t> choices();
  std::vector<float> logits(); ///< (sampled, n_vocabulary)
  /// What row `row` chose at the positions [begin, end).
  std::vector<std::int32_t> history(int row, int begin, int end);

private:
  /// Matrices that read the same input, side by side: one, where their types agree.
  struct linear {
    std::vector<std::pair<device_matrix, int>> parts; ///< and where their outputs begin
    const float* bias = nullptr;
    bool reads_rounded = false;
    bool reads_real = false;
  };
  struct layer {
    const float* attention_norm;
    const float* feed_forward_norm;
    linear qkv, attention_output, gate_up, down;
    kv_pages kv;
    std::size_t rope; ///< which of ropes_
    int window;
  };
  struct rope_table {
    rope_config config;
    const float* cosines;
    const float* sines;
  };
  class loader;

  decoder(const transformer_config& config, const decoder_limits& limits, backend& device)
      : config_(config), limits_(limits), device_(device) {}

  template <class T>
  T* allocate(std::size_t n);
  template <class T>
  void put(const std::vector<T>& values, T* to);
  void allocate_step();
  row_positions places() const;
  activation_rows input_of(const linear& weights, float* rows) const;
  void attention_block(const layer& layer);
  void feed_forward_block(const layer& layer);
  void normalise(const float* weight, const linear& reader, const std::int32_t* from_rows, int n_rows);
  void multiply(const linear& weights, const activation_rows& x, matmul_call call);

  transformer_config config_;
  decoder_limits limits_;
  backend& device_;
  std::vector<std::shared_ptr<std::byte>> memory_;
  bool is_out_of_memory_ = false;
  std::size_t weight_bytes_ = 0;

  device_matrix embedding_;
  linear output_;
  const float* output_norm_ = nullptr;
  std::vector<layer> layers_;
  std::vector<rope_table> ropes_;

  row_batch batch_;
  int n_tiles_ = 0;
  // On the device.
  std::int32_t *tokens_, *positions_, *lines_, *page_table_, *copies_, *sampled_, *choices_, *history_;
  row_tile* tiles_;
  float *x_, *normed_, *qkv_, *attended_, *activated_, *workspace_, *logits_;
  rounded_rows rounded_;
  std::uint64_t* choice_keys_;
};

} // namespace souffleur::cuda
