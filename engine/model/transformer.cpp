#include "engine/model/transformer.hpp"

#include "engine/operators/execution.hpp"
#include "engine/operators/model_operators.hpp"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cmath>
#include <new>
#include <sys/mman.h>

namespace souffleur {

namespace {

/// Zero pages of the operating system: resident only once written.
class lazy_floats {
public:
  explicit lazy_floats(std::size_t n) : n_bytes_(n * sizeof(float)) {
    void* mapped =
        mmap(nullptr, n_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapped == MAP_FAILED)
      throw std::bad_alloc{};
    data_ = static_cast<float*>(mapped);
  }
  ~lazy_floats() { munmap(data_, n_bytes_); }
  lazy_floats(const lazy_floats&) = delete;
  lazy_floats& operator=(const lazy_floats&) = delete;
  float* data() { return data_; }

private:
  std::size_t n_bytes_;
  float* data_ = nullptr;
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
        gate_up(stacked(list_of(layer.gate, layer.up))), down(stacked(list_of(layer.down))) {
    std::vector<float> bias = std::move(layer.q_bias);
    bias.insert(bias.end(), layer.k_bias.begin(), layer.k_bias.end());
    bias.insert(bias.end(), layer.v_bias.begin(), layer.v_bias.end());
    qkv = stacked(list_of(layer.q, layer.k, layer.v), std::move(bias));
  }

  at::Tensor attention_norm, feed_forward_norm;
  at::Tensor q_norm, k_norm, norm_after_attention, norm_after_feed_forward; ///< may be empty
  packed_linear_ptr qkv, attention_output, gate_up, down;
};

/// Cosines and sines of every position's angles, (n_context, head_dim / 2).
struct rope_tables {
  rope_tables(const rope_config& config, int n_context, int head_dim)
      : cosines(at::empty({n_context, head_dim / 2}, at::kFloat)), sines(at::empty_like(cosines)) {
    std::vector<double> frequencies;
    for (int i = 0; i < head_dim / 2; ++i)
      frequencies.push_back(std::pow(config.base, -2.0 * i / head_dim) / config.position_scale);
    float* cosine = cosines.data_ptr<float>();
    float* sine = sines.data_ptr<float>();
    for (int position = 0; position < n_context; ++position)
      for (const double frequency : frequencies) {
        *cosine++ = static_cast<float>(std::cos(position * frequency));
        *sine++ = static_cast<float>(std::sin(position * frequency));
      }
  }

  at::Tensor cosines, sines;
};

/// All that belongs to one layer. Tables may be shared by layers.
struct layer_state {
  layer_operands operands;
  kv_tensors kv;
  rope_tables rope;
  int window;
};

/// Activations of a step: views of the first rows of tensors that keep their storage from step to step.
struct step_tensors {
  at::Tensor x, normed, qkv, attended, gate_up, activated;
  at::Tensor addend;      ///< what a part adds to x, where it is normed first
  at::Tensor q, k, v, qk; ///< of qkv: (n_rows, heads, head_dim)
};

class transformer final : public language_model {
public:
  transformer(const transformer_config& config, transformer_weights weights, std::string fingerprint,
              int n_kv_pages, int n_threads)
      : config_(config), fingerprint_(std::move(fingerprint)), n_pages_(n_kv_pages), team_(n_threads),
        operators_(default_operator_set()), keys_(kv_floats()), values_(kv_floats()) {
    // The kernels run on team_; a second pool of threads would only be in its way.
    at::set_num_threads(default_operator_set() == operator_set::reference ? n_threads : 1);
    const c10::InferenceMode no_gradients;
    embedding_ = stacked(list_of(weights.embedding));
    output_ = weights.output.n_out() > 0 ? stacked(list_of(weights.output)) : embedding_;
    output_norm_ = tensor_of(weights.output_norm);
    for (int i = 0; i < config_.n_layers; ++i) {
      const auto& own = config_.layers[static_cast<std::size_t>(i)];
      layers_.push_back({layer_operands{weights.layers[static_cast<std::size_t>(i)]}, kv_of(i),
                         tables_of(own.rope), own.window});
    }
  }

  int vocabulary_size() const override { return config_.n_vocabulary; }
  int context_length() const override { return config_.n_context; }
  int n_pages() const override { return n_pages_; }
  const std::string& fingerprint() const override { return fingerprint_; }

  void forward(std::span<const sequence_rows> batch, std::span<float> logits) override {
    const c10::InferenceMode no_gradients;
    const execution_scope scope{{&team_, level_}};
    collect(batch);
    if (tokens_.empty())
      return;
    use_rows(static_cast<std::int64_t>(tokens_.size()));
    operators_.embedding(int_view(tokens_), embedding_, step_.x);
    if (config_.embedding_scale != 1)
      step_.x.mul_(config_.embedding_scale);
    for (auto& layer : layers_) {
      attention_block(layer);
      feed_forward_block(layer.operands);
    }
    project_logits(batch, logits);
  }

private:
  std::size_t layer_floats() const {
    return static_cast<std::size_t>(n_pages_) * config_.n_kv_heads * config_.head_dim * page_tokens;
  }
  std::size_t kv_floats() const { return layer_floats() * config_.n_layers; }

  kv_tensors kv_of(int layer) {
    const auto offset = layer_floats() * static_cast<std::size_t>(layer);
    return {at::from_blob(keys_.data() + offset,
                          {n_pages_, config_.n_kv_heads, config_.head_dim, page_tokens}, at::kFloat),
            at::from_blob(values_.data() + offset,
                          {n_pages_, config_.n_kv_heads, page_tokens, config_.head_dim}, at::kFloat)};
  }

  rope_tables tables_of(const rope_config& rope) const {
    for (std::size_t i = 0; i < layers_.size(); ++i)
      if (config_.layers[i].rope == rope)
        return layers_[i].rope;
    return {rope, config_.n_context, config_.head_dim};
  }

  static at::Tensor int_view(std::vector<std::int32_t>& values) {
    return at::from_blob(values.data(), {static_cast<std::int64_t>(values.size())}, at::kInt);
  }

  void collect(std::span<const sequence_rows> batch) {
    tokens_.clear();
    positions_.clear();
    sequences_.clear();
    std::size_t width = 0;
    for (const auto& sequence : batch)
      width = std::max(width, sequence.pages.size());
    page_table_.assign(batch.size() * width, 0);
    for (std::size_t s = 0; s < batch.size(); ++s) {
      const auto& sequence = batch[s];
      std::copy(sequence.pages.begin(), sequence.pages.end(),
                page_table_.begin() + static_cast<std::ptrdiff_t>(s * width));
      for (std::size_t i = 0; i < sequence.tokens.size(); ++i) {
        tokens_.push_back(sequence.tokens[i]);
        positions_.push_back(sequence.first_position + static_cast<int>(i));
        sequences_.push_back(static_cast<std::int32_t>(s));
      }
    }
    layout_ = {int_view(sequences_), int_view(positions_),
               at::from_blob(page_table_.data(),
                             {static_cast<std::int64_t>(batch.size()), static_cast<std::int64_t>(width)},
                             at::kInt)};
  }

  /// Makes step_ views of `n` rows, on larger storage if needed.
  void use_rows(std::int64_t n) {
    const std::int64_t dim = config_.head_dim;
    const std::int64_t n_q = config_.n_heads;
    const std::int64_t n_kv = config_.n_kv_heads;
    auto& all = storage_;
    if (!all.x.defined() || all.x.size(0) < n) {
      all.x = at::empty({n, config_.n_hidden}, at::kFloat);
      all.normed = at::empty_like(all.x);
      all.addend = at::empty_like(all.x);
      all.qkv = at::empty({n, (n_q + 2 * n_kv) * dim}, at::kFloat);
      all.attended = at::empty({n, n_q * dim}, at::kFloat);
      all.gate_up = at::empty({n, 2 * config_.n_feed_forward}, at::kFloat);
      all.activated = at::empty({n, config_.n_feed_forward}, at::kFloat);
      step_ = {};
    }
    if (step_.x.defined() && step_.x.size(0) == n)
      return;
    step_.x = all.x.narrow(0, 0, n);
    step_.normed = all.normed.narrow(0, 0, n);
    step_.addend = all.addend.narrow(0, 0, n);
    step_.qkv = all.qkv.narrow(0, 0, n);
    step_.attended = all.attended.narrow(0, 0, n);
    step_.gate_up = all.gate_up.narrow(0, 0, n);
    step_.activated = all.activated.narrow(0, 0, n);
    const auto heads = step_.qkv.view({n, n_q + 2 * n_kv, dim});
    step_.q = heads.narrow(1, 0, n_q);
    step_.k = heads.narrow(1, n_q, n_kv);
    step_.v = heads.narrow(1, n_q + n_kv, n_kv);
    step_.qk = heads.narrow(1, 0, n_q + n_kv);
    attended_heads_ = step_.attended.view({n, n_q, dim});
  }

  void attention_block(layer_state& layer) {
    const auto& of = layer.operands;
    norm(step_.x, of.attention_norm, step_.normed);
    operators_.quantized_linear(step_.normed, of.qkv, false, step_.qkv);
    if (config_.has_qk_norm) {
      norm(step_.q, of.q_norm, step_.q);
      norm(step_.k, of.k_norm, step_.k);
    }
    operators_.rope(layout_.positions, layer.rope.cosines, layer.rope.sines, config_.rope_interleaved,
                    step_.qk);
    operators_.write_kv(step_.k, step_.v, layout_, layer.kv);
    operators_.paged_attention(step_.q, layer.kv, layout_, layer.window, config_.attention_scale,
                               attended_heads_);
    add_to_x(step_.attended, of.attention_output, of.norm_after_attention);
  }

  void feed_forward_block(const layer_operands& layer) {
    norm(step_.x, layer.feed_forward_norm, step_.normed);
    operators_.quantized_linear(step_.normed, layer.gate_up, false, step_.gate_up);
    operators_.gated_activation(step_.gate_up, config_.feed_forward_activation, step_.activated);
    add_to_x(step_.activated, layer.down, layer.norm_after_feed_forward);
  }

  /// x += part W^T, which is normed first where the architecture does so.
  void add_to_x(const at::Tensor& part, const packed_linear_ptr& weight, const at::Tensor& norm_after) {
    if (!config_.has_norms_after_parts) {
      operators_.quantized_linear(part, weight, true, step_.x);
      return;
    }
    operators_.quantized_linear(part, weight, false, step_.addend);
    norm(step_.addend, norm_after, step_.addend);
    step_.x.add_(step_.addend);
  }

  void norm(const at::Tensor& x, const at::Tensor& weight, at::Tensor& out) const {
    operators_.rms_norm(x, weight, config_.norm_epsilon, out);
  }

  /// Only rows that sample pay for the output matrix, often the largest of all.
  void project_logits(std::span<const sequence_rows> batch, std::span<float> logits) {
    const std::int64_t hidden = config_.n_hidden;
    const float* x = step_.x.data_ptr<float>();
    sampled_.clear();
    std::int64_t end = 0;
    for (const auto& sequence : batch) {
      end += static_cast<std::int64_t>(sequence.tokens.size());
      sampled_.insert(sampled_.end(), x + (end - sequence.n_logit_rows) * hidden, x + end * hidden);
    }
    const auto n_rows = static_cast<std::int64_t>(sampled_.size()) / hidden;
    if (n_rows == 0)
      return;
    auto rows = at::from_blob(sampled_.data(), {n_rows, hidden}, at::kFloat);
    auto out = at::from_blob(logits.data(), {n_rows, config_.n_vocabulary}, at::kFloat);
    norm(rows, output_norm_, rows);
    operators_.quantized_linear(rows, output_, false, out);
  }

  transformer_config config_;
  std::string fingerprint_;
  int n_pages_;
  thread_team team_;
  isa level_ = best_isa();
  model_operators operators_;
  lazy_floats keys_;
  lazy_floats values_;
  packed_linear_ptr embedding_;
  packed_linear_ptr output_; ///< may be embedding_
  at::Tensor output_norm_;
  std::vector<layer_state> layers_; ///< their KV views keys_ and values_
  std::vector<std::int32_t> tokens_, positions_, sequences_, page_table_; ///< what layout_ views
  batch_layout layout_;
  step_tensors storage_, step_;
  at::Tensor attended_heads_; ///< step_.attended as (n_rows, n_heads, head_dim)
  std::vector<float> sampled_;
};

} // namespace

std::shared_ptr<language_model> make_transformer(const transformer_config& config,
                                                 transformer_weights weights, std::string fingerprint,
                                                 int n_kv_pages, int n_threads) {
  return std::make_shared<transformer>(config, std::move(weights), std::move(fingerprint), n_kv_pages,
                                       n_threads);
}

} // namespace souffleur
