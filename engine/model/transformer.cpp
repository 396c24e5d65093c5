#include "engine/model/transformer.hpp"

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
    void* mapped = mmap(nullptr, n_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
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

/// One row of the batch, with what attention needs to know of its sequence.
struct batch_row {
  token_id token = 0;
  int position = 0;
  std::span<const page_id> pages;
};

/// Activations of a step; keeps its storage from step to step.
struct step_buffers {
  std::vector<float> x, normed, q, k, v, attended, projected, gate, up, activated, sampled;
};

class transformer final : public language_model {
public:
  transformer(const transformer_config& config, transformer_weights weights, std::string fingerprint, int n_kv_pages,
              int n_threads)
      : config_(config), weights_(std::move(weights)), fingerprint_(std::move(fingerprint)), n_pages_(n_kv_pages),
        team_(n_threads), level_(best_isa()), keys_(kv_floats()), values_(kv_floats()) {
    fill_rope_tables();
  }

  int vocabulary_size() const override { return config_.n_vocabulary; }
  int context_length() const override { return config_.n_context; }
  int n_pages() const override { return n_pages_; }
  const std::string& fingerprint() const override { return fingerprint_; }

  void forward(std::span<const sequence_rows> batch, std::span<float> logits) override {
    collect(batch);
    const auto n_rows = rows_.size();
    auto& b = buffers_;
    const auto hidden = static_cast<std::size_t>(config_.n_hidden);
    b.x.resize(n_rows * hidden);
    b.normed.resize(n_rows * hidden);
    b.projected.resize(n_rows * hidden);
    b.q.resize(n_rows * static_cast<std::size_t>(config_.n_heads * config_.head_dim));
    b.attended.resize(b.q.size());
    b.k.resize(n_rows * static_cast<std::size_t>(config_.n_kv_heads * config_.head_dim));
    b.v.resize(b.k.size());
    b.gate.resize(n_rows * static_cast<std::size_t>(config_.n_feed_forward));
    b.up.resize(b.gate.size());
    for (std::size_t i = 0; i < n_rows; ++i)
      unpack_row(weights_.embedding, rows_[i].token, b.x.data() + i * hidden);
    for (int layer = 0; layer < config_.n_layers; ++layer) {
      attention_block(layer);
      feed_forward_block(weights_.layers[static_cast<std::size_t>(layer)]);
    }
    project_logits(batch, logits);
  }

private:
  std::size_t layer_floats() const {
    return static_cast<std::size_t>(n_pages_) * config_.n_kv_heads * config_.head_dim * page_tokens;
  }
  std::size_t kv_floats() const { return layer_floats() * config_.n_layers; }

  kv_layer kv_of(int layer) {
    const auto offset = layer_floats() * static_cast<std::size_t>(layer);
    return {keys_.data() + offset, values_.data() + offset, config_.n_kv_heads, config_.head_dim};
  }

  void fill_rope_tables() {
    const int half = config_.head_dim / 2;
    cosines_.resize(static_cast<std::size_t>(config_.n_context) * half);
    sines_.resize(cosines_.size());
    for (int position = 0; position < config_.n_context; ++position)
      for (int i = 0; i < half; ++i) {
        const double angle = position * std::pow(config_.rope_base, -2.0 * i / config_.head_dim);
        cosines_[static_cast<std::size_t>(position) * half + i] = static_cast<float>(std::cos(angle));
        sines_[static_cast<std::size_t>(position) * half + i] = static_cast<float>(std::sin(angle));
      }
  }

  void collect(std::span<const sequence_rows> batch) {
    rows_.clear();
    for (const auto& sequence : batch)
      for (std::size_t i = 0; i < sequence.tokens.size(); ++i)
        rows_.push_back({sequence.tokens[i], sequence.first_position + static_cast<int>(i), sequence.pages});
  }

  /// Runs `task(row)` for every row, dealt out to the threads in turn (which balances causal attention).
  template <class F>
  void for_rows(F task) {
    const int n_rows = static_cast<int>(rows_.size());
    if (n_rows == 1) {
      task(0);
      return;
    }
    team_.run([&](int index, int n_threads) {
      for (int row = index; row < n_rows; row += n_threads)
        task(row);
    });
  }

  void multiply(const packed_matrix& w, const std::vector<float>& x, std::vector<float>& y) {
    matmul(w, x.data(), static_cast<int>(rows_.size()), y.data(), w.n_out(), team_, level_);
  }

  void normalise(const std::vector<float>& weight) {
    const int n = config_.n_hidden;
    for_rows([&](int row) {
      const auto at = static_cast<std::ptrdiff_t>(row) * n;
      rms_norm(buffers_.x.data() + at, weight.data(), config_.norm_epsilon, buffers_.normed.data() + at, n);
    });
  }

  void add_residual() {
    for (std::size_t i = 0; i < buffers_.x.size(); ++i)
      buffers_.x[i] += buffers_.projected[i];
  }

  void rotate(float* heads, int n_heads, int position) const {
    const int half = config_.head_dim / 2;
    const float* cosine = cosines_.data() + static_cast<std::ptrdiff_t>(position) * half;
    const float* sine = sines_.data() + static_cast<std::ptrdiff_t>(position) * half;
    for (int h = 0; h < n_heads; ++h, heads += config_.head_dim)
      for (int i = 0; i < half; ++i) {
        float& a = heads[config_.rope_interleaved ? 2 * i : i];
        float& b = heads[config_.rope_interleaved ? 2 * i + 1 : i + half];
        const float rotated = a * cosine[i] - b * sine[i];
        b = a * sine[i] + b * cosine[i];
        a = rotated;
      }
  }

  static void add_bias(float* row, const std::vector<float>& bias) {
    for (std::size_t i = 0; i < bias.size(); ++i)
      row[i] += bias[i];
  }

  void attention_block(int index) {
    const auto& layer = weights_.layers[static_cast<std::size_t>(index)];
    auto& b = buffers_;
    normalise(layer.attention_norm);
    multiply(layer.q, b.normed, b.q);
    multiply(layer.k, b.normed, b.k);
    multiply(layer.v, b.normed, b.v);
    const auto kv = kv_of(index);
    const int q_size = config_.n_heads * config_.head_dim;
    const int kv_size = config_.n_kv_heads * config_.head_dim;
    for_rows([&](int row) {
      const auto& who = rows_[static_cast<std::size_t>(row)];
      float* q = b.q.data() + static_cast<std::ptrdiff_t>(row) * q_size;
      float* k = b.k.data() + static_cast<std::ptrdiff_t>(row) * kv_size;
      float* v = b.v.data() + static_cast<std::ptrdiff_t>(row) * kv_size;
      add_bias(q, layer.q_bias);
      add_bias(k, layer.k_bias);
      add_bias(v, layer.v_bias);
      rotate(q, config_.n_heads, who.position);
      rotate(k, config_.n_kv_heads, who.position);
      write_kv(kv, who.pages[static_cast<std::size_t>(who.position / page_tokens)], who.position % page_tokens, k, v);
    });
    const int n_tasks = static_cast<int>(rows_.size()) * config_.n_heads;
    const int n_shared = config_.n_heads / config_.n_kv_heads;
    team_.run([&](int thread, int n_threads) {
      for (int task = thread; task < n_tasks; task += n_threads) {
        const auto& who = rows_[static_cast<std::size_t>(task / config_.n_heads)];
        const auto at = static_cast<std::ptrdiff_t>(task) * config_.head_dim;
        attend(kv, who.pages, who.position + 1, task % config_.n_heads / n_shared, b.q.data() + at,
               b.attended.data() + at);
      }
    });
    multiply(layer.attention_output, b.attended, b.projected);
    add_residual();
  }

  void feed_forward_block(const transformer_layer& layer) {
    auto& b = buffers_;
    normalise(layer.feed_forward_norm);
    multiply(layer.gate, b.normed, b.gate);
    multiply(layer.up, b.normed, b.up);
    for_rows([&](int row) {
      const auto at = static_cast<std::ptrdiff_t>(row) * config_.n_feed_forward;
      swiglu(b.gate.data() + at, b.up.data() + at, b.gate.data() + at, config_.n_feed_forward);
    });
    multiply(layer.down, b.gate, b.projected);
    add_residual();
  }

  /// Only rows that sample pay for the output matrix, often the largest of all.
  void project_logits(std::span<const sequence_rows> batch, std::span<float> logits) {
    auto& b = buffers_;
    const auto hidden = static_cast<std::size_t>(config_.n_hidden);
    b.sampled.clear();
    std::size_t row = 0;
    for (const auto& sequence : batch) {
      row += sequence.tokens.size();
      for (auto r = row - static_cast<std::size_t>(sequence.n_logit_rows); r < row; ++r) {
        const auto at = b.sampled.size();
        b.sampled.resize(at + hidden);
        rms_norm(b.x.data() + r * hidden, weights_.output_norm.data(), config_.norm_epsilon, b.sampled.data() + at,
                 config_.n_hidden);
      }
    }
    const int n_rows = static_cast<int>(b.sampled.size() / hidden);
    if (n_rows > 0)
      matmul(weights_.output.n_out() > 0 ? weights_.output : weights_.embedding, b.sampled.data(), n_rows,
             logits.data(), config_.n_vocabulary, team_, level_);
  }

  transformer_config config_;
  transformer_weights weights_;
  std::string fingerprint_;
  int n_pages_;
  thread_team team_;
  isa level_;
  lazy_floats keys_;
  lazy_floats values_;
  std::vector<float> cosines_; ///< (n_context, head_dim / 2)
  std::vector<float> sines_;
  std::vector<batch_row> rows_;
  step_buffers buffers_;
};

} // namespace

std::shared_ptr<language_model> make_transformer(const transformer_config& config, transformer_weights weights,
                                                 std::string fingerprint, int n_kv_pages, int n_threads) {
  return std::make_shared<transformer>(config, std::move(weights), std::move(fingerprint), n_kv_pages, n_threads);
}

} // namespace souffleur
