#include "engine/model/transformer.hpp"

#include "engine/kernels/kv_layer.hpp"
#include "engine/kernels/lazy_floats.hpp"
#include "engine/kernels/lazy_memory.hpp"
#include "engine/model/footprint.hpp"
#include "engine/model/rope_angles.hpp"
#include "engine/operators/execution.hpp"
#include "engine/operators/model_operators.hpp"
#include "engine/process_memory.hpp"
#include "engine/step_rows.hpp"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace souffleur {

namespace {

/// The memory of all layers' keys and values. A page is one piece: per layer its heads, of each the keys and
/// then the values, and after them all scales where there are any. On huge pages, of which a page fills a
/// good part: with small ones a step would miss the TLB at every head.
class kv_pool {
public:
  kv_pool(const transformer_config& config, kv_type type, int n_pages)
      : type_(type), n_pages_(n_pages), n_kv_heads_(config.n_kv_heads), head_dim_(config.head_dim),
        head_values_(std::int64_t{head_dim_} * page_tokens), n_scales_(n_head_scales(type, config.head_dim)),
        layer_bytes_(static_cast<std::int64_t>(kv_layer_bytes(config, type))),
        page_bytes_(layer_bytes_ * config.n_layers),
        memory_(lazy_memory(static_cast<std::size_t>(page_bytes_ * n_pages), page_kind::huge)) {}

  std::size_t page_bytes() const { return static_cast<std::size_t>(page_bytes_); }

  kv_tensors layer(int index) {
    auto* at = memory_.get() + layer_bytes_ * index;
    const auto dtype = type_ == kv_type::f32 ? at::kFloat : type_ == kv_type::f16 ? at::kHalf : at::kChar;
    const auto size = static_cast<std::int64_t>(bytes_per_value(type_));
    const auto stride = page_bytes_ / size;
    const auto view = [&](std::byte* from, at::IntArrayRef shape, at::IntArrayRef strides,
                          at::ScalarType type) {
      return at::from_blob(from, shape, strides, at::TensorOptions{type});
    };
    kv_tensors kv{view(at, {n_pages_, n_kv_heads_, head_dim_, page_tokens},
                       {stride, 2 * head_values_, page_tokens, 1}, dtype),
                  view(at + head_values_ * size, {n_pages_, n_kv_heads_, page_tokens, head_dim_},
                       {stride, 2 * head_values_, head_dim_, 1}, dtype),
                  at::empty({0}, at::kFloat), at::empty({0}, at::kFloat)};
    if (n_scales_ > 0) {
      at += 2 * n_kv_heads_ * head_values_ * size;
      const auto scale_stride = page_bytes_ / static_cast<std::int64_t>(sizeof(float));
      kv.value_scales =
          view(at, {n_pages_, n_kv_heads_, page_tokens}, {scale_stride, page_tokens, 1}, at::kFloat);
      kv.key_scales = view(at + n_kv_heads_ * page_tokens * static_cast<std::int64_t>(sizeof(float)),
                           {n_pages_, n_kv_heads_, n_scales_ - 1, page_tokens},
                           {scale_stride, (n_scales_ - 1) * page_tokens, page_tokens, 1}, at::kFloat);
    }
    return kv;
  }

  /// All layers' part of it.
  std::span<std::byte> page(page_id page) const { return {memory_.get() + page_bytes_ * page, page_bytes()}; }

private:
  kv_type type_;
  std::int64_t n_pages_;
  std::int64_t n_kv_heads_;
  std::int64_t head_dim_;
  std::int64_t head_values_; ///< of a head's keys, or values, in a page
  std::int64_t n_scales_;    ///< of a head and position
  std::int64_t layer_bytes_; ///< of a page
  std::int64_t page_bytes_;
  std::shared_ptr<std::byte[]> memory_;
};

packed_linear_ptr stacked(std::vector<packed_matrix> matrices, std::vector<float> bias = {}) {
  return c10::make_intrusive<packed_linear>(std::move(matrices), std::move(bias));
}

template <class... T>
std::vector<packed_matrix> list_of(T&... matrices) {
  std::vector<packed_matrix> list;
  (list.push_back(std::move(matrices)), ...);
  return list;
}

at::Tensor tensor_of(const std::vector<float>& values) {
  auto tensor = at::empty({static_cast<std::int64_t>(values.size())}, at::kFloat);
  std::copy(values.begin(), values.end(), tensor.data_ptr<float>());
  return tensor;
}

/// A layer's weights as its operators take them: what reads the same input is one operand.
struct layer_operands {
  explicit layer_operands(transformer_layer& layer)
      : attention_norm(tensor_of(layer.attention_norm)),
        feed_forward_norm(tensor_of(layer.feed_forward_norm)), q_norm(tensor_of(layer.q_norm)),
        k_norm(tensor_of(layer.k_norm)), norm_after_attention(tensor_of(layer.norm_after_attention)),
        norm_after_feed_forward(tensor_of(layer.norm_after_feed_forward)),
        attention_output(stacked(list_of(layer.attention_output))),
        gate_up(stacked(std::move(layer.gate_up))), down(stacked(list_of(layer.down))) {
    std::vector<float> bias = std::move(layer.q_bias);
    bias.insert(bias.end(), layer.k_bias.begin(), layer.k_bias.end());
    bias.insert(bias.end(), layer.v_bias.begin(), layer.v_bias.end());
    qkv = stacked(list_of(layer.q, layer.k, layer.v), std::move(bias));
  }

  at::Tensor attention_norm, feed_forward_norm;
  at::Tensor q_norm, k_norm, norm_after_attention, norm_after_feed_forward; ///< may be empty
  packed_linear_ptr qkv, attention_output, gate_up, down;
};

/// Goes up with every change of the pages' layout, and of the kernels' bits.
constexpr std::string_view page_version = "1";

/// AVX2 and AVX-512 compute the same bits; the others nearly.
std::string page_format_of(const std::string& fingerprint, isa level) {
  const auto kernels = default_operator_set() == operator_set::reference ? "reference"
                       : level == isa::portable                          ? "portable"
                                                                         : "simd";
  return std::string{fingerprint}.append("-").append(kernels).append("-").append(page_version);
}

/// All that belongs to one layer.
struct layer_state {
  layer_operands operands;
  kv_tensors kv;
  std::size_t rope; ///< which of the model's
  int window;
};

/// Activations of a step.
struct step_tensors {
  at::Tensor x, qkv, attended, activated;
  at::Tensor addend;   ///< what a part adds to x, where it is normed first
  at::Tensor heads, q; ///< of qkv: (n_rows, heads, head_dim)
};

std::size_t bytes_of(const transformer_weights& weights) {
  std::size_t n = weights.embedding.size_bytes() + weights.output.size_bytes();
  std::size_t n_floats = weights.output_norm.size();
  for (const auto& layer : weights.layers) {
    for (const auto* matrix : {&layer.q, &layer.k, &layer.v, &layer.attention_output, &layer.down})
      n += matrix->size_bytes();
    for (const auto& matrix : layer.gate_up)
      n += matrix.size_bytes();
    for (const auto* values : {&layer.attention_norm, &layer.feed_forward_norm, &layer.norm_after_attention,
                               &layer.norm_after_feed_forward, &layer.q_norm, &layer.k_norm, &layer.q_bias,
                               &layer.k_bias, &layer.v_bias})
      n_floats += values->size();
  }
  return n + n_floats * sizeof(float);
}

class transformer final : public language_model {
public:
  transformer(const transformer_config& config, transformer_weights weights, std::string fingerprint,
              const model_options& options)
      : config_(config), fingerprint_(std::move(fingerprint)), n_pages_(options.n_kv_pages),
        team_(options.n_threads), level_(options.level), operators_(default_operator_set()),
        page_format_(page_format_of(fingerprint_, level_)),
        pool_(config, options.kv, options.n_kv_pages + n_scratch_pages), weights_bytes_(bytes_of(weights)),
        rows_(options.n_kv_pages) {
    // The kernels run on team_; a second pool of threads would only be in its way.
    at::set_num_threads(default_operator_set() == operator_set::reference ? options.n_threads : 1);
    const c10::InferenceMode no_gradients;
    embedding_ = stacked(list_of(weights.embedding));
    output_ = weights.output.n_out() > 0 ? stacked(list_of(weights.output)) : embedding_;
    output_norm_ = tensor_of(weights.output_norm);
    for (int i = 0; i < config_.n_layers; ++i) {
      const auto& own = config_.layers[static_cast<std::size_t>(i)];
      layers_.push_back({layer_operands{weights.layers[static_cast<std::size_t>(i)]}, pool_.layer(i),
                         index_of(own.rope), own.window});
    }
  }

  int vocabulary_size() const override { return config_.n_vocabulary; }
  int context_length() const override { return config_.n_context; }
  int n_pages() const override { return n_pages_; }
  std::size_t weights_bytes() const override { return weights_bytes_; }
  const std::string& fingerprint() const override { return fingerprint_; }

  void forward(std::span<const sequence_rows> batch, std::span<float> logits) override {
    const c10::InferenceMode no_gradients;
    const execution_scope scope{{&team_, level_}};
    compute(batch);
    project(0, n_sampled(), logits.data());
  }

  void forward_each(std::span<const sequence_rows> batch, const output_reader& read) override {
    const c10::InferenceMode no_gradients;
    const execution_scope scope{{&team_, level_}};
    compute(batch);
    const auto vocabulary = static_cast<std::size_t>(config_.n_vocabulary);
    std::int64_t first = 0;
    for (std::size_t i = 0; i < batch.size();) {
      const auto begin = i;
      std::int64_t n = 0;
      do
        n += batch[i++].n_logit_rows;
      while (i < batch.size() && n + batch[i].n_logit_rows <= logit_rows_at_once);
      auto logits = logits_.take(static_cast<std::size_t>(n) * vocabulary);
      project(std::exchange(first, first + n), n, logits.data());
      outputs_.clear();
      for (auto j = begin; j < i; ++j) {
        const auto size = static_cast<std::size_t>(batch[j].n_logit_rows) * vocabulary;
        outputs_.push_back({logits.first(size)});
        logits = logits.subspan(size);
      }
      read(begin, outputs_);
    }
  }

  void share_out(int n_parts, const std::function<void(int)>& task) override { team_.run(n_parts, task); }

  void rest() override {
    step_ = {};
    attended_heads_.reset();
    storage_ = {};
    logits_ = {};
    sampled_ = {};
    give_back_unused_memory();
  }

  void keep(std::size_t sequence, int row) override { copy(rows_.copies_to_keep(sequence, row)); }

  void turn(std::span<const page_turn> turns) override {
    const c10::InferenceMode no_gradients;
    const execution_scope scope{{&team_, level_}};
    for (const auto& one : turns) {
      if (one.n_positions == 0) {
        copy(std::span{&one, 1});
        continue;
      }
      for (auto& rope : ropes_)
        rope.set(std::span{&one.n_positions, 1});
      for (auto& layer : layers_)
        operators_.turn_page(one.from, one.to, ropes_[layer.rope].cosines(), ropes_[layer.rope].sines(),
                             layer.kv);
    }
  }

  const std::string& page_format() const override { return page_format_; }
  std::size_t page_bytes() const override { return pool_.page_bytes(); }
  void save_page(page_id page, std::span<std::byte> bytes) const override {
    std::ranges::copy(pool_.page(page), bytes.begin());
  }
  void load_page(page_id page, std::span<const std::byte> bytes) override {
    std::ranges::copy(bytes, pool_.page(page).begin());
  }

private:
  /// Keys and values of the batch's rows, and the last hidden states of those that sample.
  void compute(std::span<const sequence_rows> batch) {
    collect(batch);
    sampled_.clear();
    if (rows_.n_rows() == 0)
      return;
    use_rows(rows_.n_rows());
    copy(rows_.side_beginnings());
    operators_.embedding(int_view(rows_.tokens), embedding_, step_.x);
    if (config_.embedding_scale != 1)
      step_.x.mul_(config_.embedding_scale);
    for (auto& layer : layers_) {
      attention_block(layer);
      feed_forward_block(layer.operands);
    }
    collect_sampled(batch);
  }

  /// Which of ropes_ it is; layers share them.
  std::size_t index_of(const rope_config& rope) {
    const auto found = std::ranges::find(ropes_, rope, &rope_angles::config);
    const auto index = static_cast<std::size_t>(found - ropes_.begin());
    if (found == ropes_.end())
      ropes_.emplace_back(rope, config_.head_dim);
    return index;
  }

  static at::Tensor int_view(std::vector<std::int32_t>& values) {
    return at::from_blob(values.data(), {static_cast<std::int64_t>(values.size())}, at::kInt);
  }

  void collect(std::span<const sequence_rows> batch) {
    rows_.collect(batch);
    for (auto& rope : ropes_)
      rope.set(rows_.positions);
    const auto n_lines = static_cast<std::int64_t>(rows_.owners.size());
    layout_ = {int_view(rows_.lines), int_view(rows_.places),
               at::from_blob(rows_.page_table.data(), {n_lines, static_cast<std::int64_t>(rows_.table_width)},
                             at::kInt)};
    if (!rows_.has_trees())
      return;
    layout_.owners = int_view(rows_.owners);
    layout_.copies =
        at::from_blob(rows_.copies.data(), {static_cast<std::int64_t>(rows_.copies.size()) / 2, 2}, at::kInt);
  }

  void copy(std::span<const page_turn> turns) {
    for (const auto& one : turns)
      std::ranges::copy(pool_.page(one.from), pool_.page(one.to).begin());
  }

  /// Makes step_ tensors of `n` rows.
  void use_rows(std::int64_t n) {
    if (step_.x.defined() && step_.x.size(0) == n)
      return;
    const std::int64_t dim = config_.head_dim;
    const std::int64_t n_q = config_.n_heads;
    const std::int64_t n_all = n_q + std::int64_t{2} * config_.n_kv_heads;
    const std::int64_t hidden = config_.n_hidden;
    const std::int64_t feed_forward = config_.n_feed_forward;
    float* free =
        storage_.take(static_cast<std::size_t>(n * (2 * hidden + (n_all + n_q) * dim + feed_forward))).data();
    const auto rows_of = [&](std::int64_t width) {
      return at::from_blob(std::exchange(free, free + n * width), {n, width}, at::kFloat);
    };
    step_.x = rows_of(hidden);
    step_.qkv = rows_of(n_all * dim);
    step_.attended = rows_of(n_q * dim);
    step_.activated = rows_of(feed_forward);
    step_.addend = rows_of(hidden); // the last, since most architectures never write it
    step_.heads = step_.qkv.view({n, n_all, dim});
    step_.q = step_.heads.narrow(1, 0, n_q);
    attended_heads_ = step_.attended.view({n, n_q, dim});
  }

  void attention_block(layer_state& layer) {
    const auto& of = layer.operands;
    const auto& rope = ropes_[layer.rope];
    operators_.linear(step_.x, norm(of.attention_norm), of.qkv, false, step_.qkv);
    operators_.rotate_and_store(step_.heads, norm(of.q_norm), norm(of.k_norm), rope.cosines(), rope.sines(),
                                layout_, layer.kv);
    operators_.paged_attention(step_.q, layer.kv, layout_, layer.window, config_.attention_scale,
                               attended_heads_);
    add_to_x(step_.attended, of.attention_output, of.norm_after_attention);
  }

  void feed_forward_block(const layer_operands& layer) {
    operators_.gated_linear(step_.x, norm(layer.feed_forward_norm), layer.gate_up,
                            config_.feed_forward_activation, step_.activated);
    add_to_x(step_.activated, layer.down, layer.norm_after_feed_forward);
  }

  /// x += part W^T, which is normed first where the architecture does so.
  void add_to_x(const at::Tensor& part, const packed_linear_ptr& weight, const at::Tensor& norm_after) {
    const bool is_direct = !config_.has_norms_after_parts;
    operators_.linear(part, norm(nothing_), weight, is_direct, is_direct ? step_.x : step_.addend);
    if (is_direct)
      return;
    operators_.rms_norm(step_.addend, norm(norm_after), step_.addend);
    step_.x.add_(step_.addend);
  }

  input_norm norm(const at::Tensor& weight) const { return {weight, config_.norm_epsilon}; }

  void collect_sampled(std::span<const sequence_rows> batch) {
    const std::int64_t hidden = config_.n_hidden;
    const float* x = step_.x.data_ptr<float>();
    std::int64_t end = 0;
    for (const auto& sequence : batch) {
      end += static_cast<std::int64_t>(sequence.tokens.size());
      sampled_.insert(sampled_.end(), x + (end - sequence.n_logit_rows) * hidden, x + end * hidden);
    }
  }

  std::int64_t n_sampled() const { return static_cast<std::int64_t>(sampled_.size()) / config_.n_hidden; }

  /// Only rows that sample pay for the output matrix, often the largest of all: of those, [first, first + n).
  void project(std::int64_t first, std::int64_t n, float* logits) {
    if (n == 0)
      return;
    const std::int64_t hidden = config_.n_hidden;
    auto rows = at::from_blob(sampled_.data() + first * hidden, {n, hidden}, at::kFloat);
    auto out = at::from_blob(logits, {n, config_.n_vocabulary}, at::kFloat);
    operators_.linear(rows, norm(output_norm_), output_, false, out);
  }

  transformer_config config_;
  std::string fingerprint_;
  int n_pages_;
  thread_team team_;
  isa level_;
  model_operators operators_;
  std::string page_format_;
  kv_pool pool_;
  std::size_t weights_bytes_;
  packed_linear_ptr embedding_;
  packed_linear_ptr output_; ///< may be embedding_
  at::Tensor output_norm_;
  at::Tensor nothing_ = at::empty({0}, at::kFloat);
  std::vector<rope_angles> ropes_;
  std::vector<layer_state> layers_; ///< their KV views pool_'s memory
  step_rows rows_;                  ///< of the step under way or the last one; layout_ views it
  batch_layout layout_;
  lazy_floats storage_; ///< of step_
  step_tensors step_;
  at::Tensor attended_heads_;  ///< step_.attended as (n_rows, n_heads, head_dim)
  std::vector<float> sampled_; ///< (rows that sample, n_hidden)
  lazy_floats logits_;         ///< of the sequences that forward_each is at
  std::vector<row_outputs> outputs_;
};

} // namespace

std::shared_ptr<language_model> make_transformer(const transformer_config& config,
                                                 transformer_weights weights, std::string fingerprint,
                                                 const model_options& options) {
  return std::make_shared<transformer>(config, std::move(weights), std::move(fingerprint), options);
}

} // namespace souffleur
