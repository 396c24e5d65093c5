#include "engine/embedding/bert_encoder.hpp"

#include "engine/kernels/matmul.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace souffleur {

namespace {

constexpr int parts_per_thread = 4;

int pages_of(std::size_t n_rows) { return static_cast<int>((n_rows + page_tokens - 1) / page_tokens); }

std::size_t product(int a, int b) { return static_cast<std::size_t>(a) * static_cast<std::size_t>(b); }

} // namespace

/// Where the rows of each text are. Every row sees its whole text: to the kernel, which is causal, it stands
/// at the text's last position.
struct bert_encoder::batch {
  explicit batch(std::span<const std::span<const token_id>> all) : texts(all) {
    for (const auto& text : texts)
      table_width = std::max(table_width, pages_of(text.size()));
    for (std::size_t t = 0; t < texts.size(); ++t) {
      first_rows.push_back(n_rows());
      for (std::size_t i = 0; i < texts[t].size(); ++i) {
        text_of.push_back(static_cast<std::int32_t>(t));
        last_positions.push_back(static_cast<std::int32_t>(texts[t].size()) - 1);
      }
      for (int page = 0; page < table_width; ++page)
        page_table.push_back(page < pages_of(texts[t].size()) ? n_pages++ : 0);
    }
    first_rows.push_back(n_rows());
  }
  int n_rows() const { return static_cast<int>(text_of.size()); }
  int position_of(int row) const {
    return row - first_rows[static_cast<std::size_t>(text_of[static_cast<std::size_t>(row)])];
  }
  row_places places() const {
    return {n_rows(), text_of.data(), last_positions.data(), page_table.data(), table_width, nullptr};
  }
  page_id page_of(int row) const {
    const auto text = static_cast<std::size_t>(text_of[static_cast<std::size_t>(row)]);
    return page_table[text * static_cast<std::size_t>(table_width) +
                      static_cast<std::size_t>(position_of(row) / page_tokens)];
  }

  std::span<const std::span<const token_id>> texts;
  std::vector<int> first_rows; ///< of each text, then n_rows
  std::vector<std::int32_t> text_of;
  std::vector<std::int32_t> last_positions;
  std::vector<page_id> page_table; ///< (n_texts, table_width)
  int table_width = 0;
  page_id n_pages = 0;
};

bert_encoder::bert_encoder(const bert_config& config, bert_weights weights, int n_threads, isa level)
    : config_(config), weights_(std::move(weights)), team_(n_threads), level_(level),
      kernels_(kernels_of(level)) {}

template <class F>
void bert_encoder::for_rows(int n_rows, const F& body) {
  const int n_parts = std::min(n_rows, team_.size() == 1 ? 1 : parts_per_thread * team_.size());
  team_.run(n_parts, [&](int part) {
    for (int row = n_rows * part / n_parts; row < n_rows * (part + 1) / n_parts; ++row)
      body(row);
  });
}

void bert_encoder::encode(std::span<const std::span<const token_id>> texts, float* out) {
  if (texts.empty())
    return;
  const batch rows{texts};
  float* x = x_.take(product(rows.n_rows(), config_.n_hidden)).data();
  embed(rows, x);
  for (const auto& layer : weights_.layers) {
    attend(layer, rows, x);
    feed_forward(layer, rows, x);
  }
  pool(rows, x, out);
}

void bert_encoder::norm(const layer_norm_weights& weights, int n_rows, float* x) {
  const int n = config_.n_hidden;
  for_rows(n_rows, [&](int row) {
    float* y = x + product(row, n);
    kernels_.layer_norm(y, weights.weight.data(), weights.bias.data(), config_.epsilon, y, n);
  });
}

void bert_encoder::embed(const batch& rows, float* x) {
  const auto n = static_cast<std::size_t>(config_.n_hidden);
  std::vector<float> position(n);
  for (int row = 0; row < rows.n_rows(); ++row) {
    const auto text = static_cast<std::size_t>(rows.text_of[static_cast<std::size_t>(row)]);
    const auto at = static_cast<std::size_t>(rows.position_of(row));
    const auto word = static_cast<std::size_t>(rows.texts[text][at]);
    float* y = x + static_cast<std::size_t>(row) * n;
    std::memcpy(y, weights_.words.data() + word * n * sizeof(float), n * sizeof(float));
    std::memcpy(position.data(), weights_.positions.data() + at * n * sizeof(float), n * sizeof(float));
    for (std::size_t i = 0; i < n; ++i)
      y[i] += position[i] + weights_.segment[i];
  }
  norm(weights_.embedding_norm, rows.n_rows(), x);
}

/// x = norm(x + output(attention(x))).
void bert_encoder::attend(const bert_layer& layer, const batch& rows, float* x) {
  const int n = config_.n_hidden;
  float* qkv = qkv_.take(product(rows.n_rows(), 3 * n)).data();
  matmul(layer.qkv, {x, n, rows.n_rows()}, {qkv, 3 * n, layer.qkv_bias.data()}, team_, level_);

  const auto n_kept = product(rows.n_pages * page_tokens, n);
  const auto head_values = config_.head_dim() * page_tokens;
  kv_layer kv;
  kv.keys = reinterpret_cast<std::byte*>(keys_.take(n_kept).data());
  kv.values = reinterpret_cast<std::byte*>(values_.take(n_kept).data());
  kv.head_stride_bytes = static_cast<std::ptrdiff_t>(head_values * sizeof(float));
  kv.page_stride_bytes = config_.n_heads * kv.head_stride_bytes;
  kv.n_kv_heads = config_.n_heads;
  kv.head_dim = config_.head_dim();
  for_rows(rows.n_rows(), [&](int row) {
    const float* keys = qkv + product(row, 3 * n) + n;
    kernels_.write_kv(kv, rows.page_of(row), rows.position_of(row) % page_tokens, keys, keys + n);
  });

  float* context = context_.take(product(rows.n_rows(), n)).data();
  const float scale = 1.0F / std::sqrt(static_cast<float>(config_.head_dim()));
  souffleur::attend(kv, rows.places(), {qkv, 3 * n, context, n, config_.n_heads, scale}, team_, level_);
  matmul({&layer.attention_output, 1}, {context, n, rows.n_rows()},
         {x, n, layer.attention_output_bias.data(), true}, team_, level_);
  norm(layer.attention_norm, rows.n_rows(), x);
}

/// x = norm(x + output(gelu(inner(x)))).
void bert_encoder::feed_forward(const bert_layer& layer, const batch& rows, float* x) {
  const int n = config_.n_hidden;
  float* inner = inner_.take(product(rows.n_rows(), config_.n_inner)).data();
  matmul({&layer.inner, 1}, {x, n, rows.n_rows()}, {inner, config_.n_inner, layer.inner_bias.data()}, team_,
         level_);
  for_rows(rows.n_rows(), [&](int row) {
    float* y = inner + product(row, config_.n_inner);
    kernels_.gelu(y, y, config_.n_inner);
  });
  matmul({&layer.output, 1}, {inner, config_.n_inner, rows.n_rows()}, {x, n, layer.output_bias.data(), true},
         team_, level_);
  norm(layer.output_norm, rows.n_rows(), x);
}

void bert_encoder::pool(const batch& rows, const float* x, float* out) {
  const auto n = static_cast<std::size_t>(config_.n_hidden);
  std::vector<double> sum(n);
  for (std::size_t t = 0; t < rows.texts.size(); ++t, out += n) {
    std::fill(sum.begin(), sum.end(), 0);
    for (int row = rows.first_rows[t]; row < rows.first_rows[t + 1]; ++row)
      for (std::size_t i = 0; i < n; ++i)
        sum[i] += x[static_cast<std::size_t>(row) * n + i];
    double squares = 0;
    for (const auto value : sum)
      squares += value * value;
    // The mean's length cancels out.
    const double factor = squares > 0 ? 1 / std::sqrt(squares) : 0;
    std::transform(sum.begin(), sum.end(), out,
                   [&](double value) { return static_cast<float>(value * factor); });
  }
}

std::size_t bert_encoder::scratch_bytes(const bert_config& c, int n_rows, int least_rows) {
  const auto n_texts = n_rows / least_rows;
  const auto n_kept_rows = product(std::min(n_texts + n_rows / page_tokens, n_rows), page_tokens);
  return sizeof(float) * (product(n_rows, 5 * c.n_hidden + c.n_inner) +
                          2 * n_kept_rows * static_cast<std::size_t>(c.n_hidden));
}

} // namespace souffleur
