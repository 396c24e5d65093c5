// A transformer on a backend: its weights, its pages of keys and values, and the operations of a step.
#pragma once

#include "engine/cuda/backend.hpp"
#include "engine/model/transformer_config.hpp"

#include <compare>
#include <map>
#include <span>
#include <string_view>
#include <utility>

namespace souffleur::cuda {

/// Rows that are computed together, as the host describes them.
struct row_batch {
  std::vector<std::int32_t> tokens;
  std::vector<std::int32_t> places;     ///< where in their lines
  std::vector<std::int32_t> positions;  ///< by which rope turns them; empty: their places
  std::vector<std::int32_t> lines;      ///< rows of the same line stand next to each other
  std::vector<std::int32_t> page_table; ///< (lines, table_width)
  int table_width = 0;
  std::vector<std::int32_t> copies;  ///< (n, 2): rows, and other lines where they are stored, too
  std::vector<std::int32_t> sampled; ///< rows whose next token is wanted, ascending
  std::vector<token_draw> draws;     ///< (sampled,): how it is drawn; empty: the most likely ones
  /// Places that no row sees more of; of a recorded step also in later replays.
  int n_places = 0;

  int n_rows() const { return static_cast<int>(tokens.size()); }
};

/// What memory is set aside for.
struct decoder_limits {
  int n_rows = 16;
  int n_lines = 16;
  int n_places = 2048; ///< of a line
  int n_pages = 128;
  bool keeps_history = false; ///< as queue_advance() needs
};

/// Of a name the tensor; null: there is none.
using tensor_finder = std::function<const gguf_tensor*(std::string_view name)>;

/// Not for several threads at once. REQUIRES: the backend outlives it.
class decoder {
public:
  /// The error names the tensor or the setting that is not supported: types without a layout, gate and up of
  /// different types, other sizes of heads.
  static result<std::unique_ptr<decoder>> load(const transformer_config& config, const tensor_finder& find,
                                               const decoder_limits& limits, backend& device);

  const transformer_config& config() const { return config_; }
  /// Of all matrices that a step reads from end to end; the embedding only where it is the output matrix.
  std::size_t weight_bytes() const { return weight_bytes_; }

  /// The batch of the next steps.
  void set_batch(const row_batch& batch);
  /// Queues the batch's step: keys and values are stored, choices() are made.
  void queue_step();
  /// The same; few rows in a shape that was there before are replayed as one recorded step.
  void queue_known_step();
  /// Queues the next step's tokens and places: the choices, one further. REQUIRES: all rows are sampled and
  /// have neither other positions nor draws; limits.keeps_history.
  void queue_advance();

  /// (sampled,), after the queued steps.
  std::vector<std::int32_t> choices();
  std::vector<float> logits(); ///< (sampled, n_vocabulary)
  /// Of the sampled rows from `first` on; `out` is (n, n_vocabulary).
  void logits(int first, std::span<float> out);
  /// What row `row` chose at the places [begin, end).
  std::vector<std::int32_t> history(int row, int begin, int end);

  std::size_t page_bytes() const;
  /// Queues it.
  void copy_page(page_id from, page_id to);
  /// Queues that the page's keys are turned on.
  void turn_page(page_id page, int n_positions);
  /// `bytes` is (page_bytes,).
  void save_page(page_id page, std::span<std::byte> bytes) const;
  void load_page(page_id page, std::span<const std::byte> bytes);

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
    const float *q_norm, *k_norm;                                ///< null: none
    const float *norm_after_attention, *norm_after_feed_forward; ///< likewise
    linear qkv, attention_output, gate_up, down;
    kv_pages kv;
    std::size_t rope; ///< which of ropes_
    int window;
  };
  /// Angles of the positions [0, limits.n_places), then of those rows of the batch that are further on.
  struct rope_table {
    rope_config config;
    float* cosines;
    float* sines;
  };
  /// All that a recorded step hangs on.
  struct step_shape {
    int n_rows, n_sampled, n_tiles, n_copies, table_width, n_parts;
    bool has_angles, has_draws;
    auto operator<=>(const step_shape&) const = default;
  };
  struct known_step {
    int n_times = 0;
    backend::step replay;
  };
  class loader;

  decoder(const transformer_config& config, const decoder_limits& limits, backend& device)
      : config_(config), limits_(limits), device_(device) {}

  template <class T>
  T* allocate(std::size_t n);
  void allocate_step();
  void add_rope(const rope_config& rope);
  void put_angles(const rope_table& rope, std::span<const std::int32_t> positions, int first_slot);
  std::vector<std::int32_t> angles_of(std::span<const std::int32_t> positions);
  step_shape shape() const;
  int n_parts() const { return (batch_.n_places + part_tokens - 1) / part_tokens; }
  std::byte* page_at(page_id page) const;
  row_places places() const;
  activation_rows input_of(const linear& weights, float* rows) const;
  void attention_block(const layer& layer);
  void feed_forward_block(const layer& layer);
  void normalise(const float* weight, const linear& reader, const std::int32_t* from_rows, int n_rows);
  void multiply(const linear& weights, const activation_rows& x, matmul_call call);
  void add_to_x(const linear& weights, const activation_rows& part, const float* norm_after);

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
  std::map<step_shape, known_step> known_steps_;
  std::shared_ptr<std::byte> staging_; ///< the host's copy of inputs_, on its way
  // On the device. All up to page_table_ lies in inputs_.
  std::int32_t* inputs_;
  std::size_t n_inputs_ = 0;
  std::int32_t *tokens_, *places_, *lines_, *angles_, *sampled_, *copies_, *page_table_;
  const row_tile* tiles_;
  const token_draw* draws_;
  std::int32_t *choices_, *history_ = nullptr;
  std::uint16_t* pages_;
  float* addend_ = nullptr; ///< what a part adds to x, where it is normed first
  float *x_, *normed_, *qkv_, *attended_, *activated_, *workspace_, *logits_;
  rounded_rows rounded_;
  std::uint64_t* choice_keys_;
};

} // namespace souffleur::cuda
