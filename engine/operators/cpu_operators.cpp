// The operators on the CPU: shape checks, then the raw kernels on the current execution's threads.
#include "engine/kernels/attention.hpp"
#include "engine/kernels/kernel_table.hpp"
#include "engine/kernels/matmul.hpp"
#include "engine/operators/execution.hpp"
#include "engine/operators/operator_functions.hpp"

#include <c10/util/Exception.h>

#include <algorithm>

namespace souffleur::cpu_operators {

namespace {

/// Below this many floats a loop is over before a second thread has woken.
constexpr std::int64_t floats_worth_a_thread = 1 << 14;

/// Rows of floats, `stride` apart.
struct row_view {
  float* data;
  std::ptrdiff_t stride;

  float* operator[](std::ptrdiff_t row) const { return data + row * stride; }
};

/// A view of (n, ...) whose rows are contiguous inside.
row_view rows_of(const at::Tensor& tensor, const char* name) {
  TORCH_CHECK(tensor.scalar_type() == at::kFloat, name, ": expected float32");
  std::int64_t inside = 1;
  for (auto d = tensor.dim() - 1; d > 0; --d) {
    TORCH_CHECK(tensor.size(d) == 1 || tensor.stride(d) == inside, name, ": rows are not contiguous");
    inside *= tensor.size(d);
  }
  return {tensor.data_ptr<float>(), static_cast<std::ptrdiff_t>(tensor.stride(0))};
}

const std::int32_t* ints_of(const at::Tensor& tensor, const char* name) {
  TORCH_CHECK(tensor.scalar_type() == at::kInt && tensor.is_contiguous(), name,
              ": expected contiguous int32");
  return tensor.data_ptr<std::int32_t>();
}

/// Runs `task(row)` for every row, dealt out to the threads in turn if there is enough to do.
template <class F>
void for_rows(std::int64_t n_rows, std::int64_t row_floats, const F& task) {
  if (n_rows * row_floats < floats_worth_a_thread) {
    for (std::int64_t row = 0; row < n_rows; ++row)
      task(row);
    return;
  }
  auto& team = *current_execution().team;
  const int n_parts = static_cast<int>(std::min<std::int64_t>(n_rows, 4 * team.size()));
  team.run(n_parts, [&](int part) {
    for (std::int64_t row = n_rows * part / n_parts; row < n_rows * (part + 1) / n_parts; ++row)
      task(row);
  });
}

/// The page table, and which line of it each row reads.
class page_lookup {
public:
  page_lookup(const at::Tensor& sequences, const at::Tensor& positions, const at::Tensor& page_table)
      : sequences_(ints_of(sequences, "sequences")), positions_(ints_of(positions, "positions")),
        table_(ints_of(page_table, "page_table")), width_(static_cast<std::size_t>(page_table.size(1))),
        n_rows_(static_cast<int>(positions.size(0))) {
    TORCH_CHECK(sequences.size(0) == positions.size(0), "sequences and positions differ in length");
  }
  int position(std::int64_t row) const { return positions_[row]; }
  row_places places() const {
    return {n_rows_, sequences_, positions_, table_, static_cast<std::ptrdiff_t>(width_)};
  }
  std::span<const page_id> pages(std::int64_t row) const {
    return {table_ + static_cast<std::size_t>(sequences_[row]) * width_, width_};
  }

private:
  const std::int32_t* sequences_;
  const std::int32_t* positions_;
  const std::int32_t* table_;
  std::size_t width_;
  int n_rows_;
};

kv_layer layer_of(const at::Tensor& keys, const at::Tensor& values) {
  TORCH_CHECK(keys.dim() == 4 && values.dim() == 4 && keys.is_contiguous() && values.is_contiguous() &&
                  keys.size(3) == page_tokens && values.size(2) == page_tokens &&
                  keys.size(2) == values.size(3),
              "key and value pages: unexpected layout");
  kv_layer layer;
  layer.keys = reinterpret_cast<std::byte*>(keys.data_ptr<float>());
  layer.values = reinterpret_cast<std::byte*>(values.data_ptr<float>());
  layer.n_kv_heads = static_cast<int>(keys.size(1));
  layer.head_dim = static_cast<int>(keys.size(2));
  return layer;
}

/// Neighbours in pairs, as GGUF's llama has them.
void rotate_interleaved(float* head, std::int64_t half, const float* cosine, const float* sine) {
  for (std::int64_t i = 0; i < half; ++i) {
    float& a = head[2 * i];
    float& b = head[2 * i + 1];
    const float turned = a * cosine[i] - b * sine[i];
    b = a * sine[i] + b * cosine[i];
    a = turned;
  }
}

} // namespace

void embedding(const at::Tensor& tokens, const packed_linear_ptr& weight, at::Tensor& out) {
  const auto* ids = ints_of(tokens, "tokens");
  const auto y = rows_of(out, "out");
  const auto& table = weight->stack().front();
  TORCH_CHECK(out.size(1) == table.n_in() && out.size(0) == tokens.size(0), "embedding: shapes do not fit");
  for_rows(tokens.size(0), table.n_in(), [&](std::int64_t row) { unpack_row(table, ids[row], y[row]); });
}

void quantized_linear(const at::Tensor& x, const packed_linear_ptr& weight, bool accumulate,
                      at::Tensor& out) {
  TORCH_CHECK(x.size(1) == weight->n_in() && out.size(1) == weight->n_out() && x.size(0) == out.size(0),
              "quantized_linear: shapes do not fit");
  const auto in = rows_of(x, "x");
  const auto y = rows_of(out, "out");
  const auto how = current_execution();
  const auto& bias = weight->bias();
  matmul(weight->stack(), {in.data, in.stride, static_cast<int>(x.size(0))},
         {y.data, y.stride, bias.empty() ? nullptr : bias.data(), accumulate}, *how.team, how.level);
}

void rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon, at::Tensor& out) {
  const auto in = rows_of(x, "x");
  const auto y = rows_of(out, "out");
  const auto n = x.size(-1);
  TORCH_CHECK(weight.numel() == n && out.sizes() == x.sizes(), "rms_norm: shapes do not fit");
  const auto* w = weight.data_ptr<float>();
  const auto& kernels = kernels_of(current_execution().level);
  const auto row_floats = x.size(0) == 0 ? 0 : x.numel() / x.size(0);
  for_rows(x.size(0), row_floats, [&](std::int64_t row) {
    for (std::int64_t at = 0; at < row_floats; at += n)
      kernels.rms_norm(in[row] + at, w, static_cast<float>(epsilon), y[row] + at, static_cast<int>(n));
  });
}

void rope(const at::Tensor& positions, const at::Tensor& cosines, const at::Tensor& sines, bool interleaved,
          at::Tensor& heads) {
  const auto* at = ints_of(positions, "positions");
  const auto cosine = rows_of(cosines, "cosines");
  const auto sine = rows_of(sines, "sines");
  const auto x = rows_of(heads, "heads");
  const auto half = cosines.size(1);
  TORCH_CHECK(heads.dim() == 3 && heads.size(2) == 2 * half && heads.size(0) == positions.size(0),
              "rope: shapes do not fit");
  const auto& kernels = kernels_of(current_execution().level);
  for_rows(heads.size(0), heads.size(1) * heads.size(2), [&](std::int64_t row) {
    for (std::int64_t h = 0; h < heads.size(1); ++h) {
      float* head = x[row] + h * 2 * half;
      if (interleaved)
        rotate_interleaved(head, half, cosine[at[row]], sine[at[row]]);
      else
        kernels.rotate(head, cosine[at[row]], sine[at[row]], static_cast<int>(half));
    }
  });
}

void write_kv(const at::Tensor& keys, const at::Tensor& values, const at::Tensor& sequences,
              const at::Tensor& positions, const at::Tensor& page_table, at::Tensor& key_pages,
              at::Tensor& value_pages) {
  const page_lookup lookup{sequences, positions, page_table};
  const auto layer = layer_of(key_pages, value_pages);
  const auto k = rows_of(keys, "keys");
  const auto v = rows_of(values, "values");
  TORCH_CHECK(keys.size(1) == layer.n_kv_heads && keys.size(2) == layer.head_dim &&
                  keys.sizes() == values.sizes(),
              "write_kv: shapes do not fit");
  const auto& kernels = kernels_of(current_execution().level);
  for_rows(keys.size(0), 2 * keys.size(1) * keys.size(2), [&](std::int64_t row) {
    const int position = lookup.position(row);
    kernels.write_kv(layer, lookup.pages(row)[static_cast<std::size_t>(position / page_tokens)],
                     position % page_tokens, k[row], v[row]);
  });
}

void paged_attention(const at::Tensor& q, const at::Tensor& key_pages, const at::Tensor& value_pages,
                     const at::Tensor& sequences, const at::Tensor& positions, const at::Tensor& page_table,
                     std::int64_t window, double scale, at::Tensor& out) {
  const page_lookup lookup{sequences, positions, page_table};
  const auto layer = layer_of(key_pages, value_pages);
  const auto x = rows_of(q, "q");
  const auto y = rows_of(out, "out");
  TORCH_CHECK(q.size(1) % layer.n_kv_heads == 0 && q.size(2) == layer.head_dim && q.sizes() == out.sizes(),
              "paged_attention: shapes do not fit");
  TORCH_CHECK(layer.head_dim % 16 == 0 && layer.head_dim <= max_head_dim,
              "paged_attention: head sizes are multiples of 16 up to ", max_head_dim);
  TORCH_CHECK(window >= 0, "paged_attention: the window is negative");
  const auto how = current_execution();
  attend(layer, lookup.places(),
         {x.data, x.stride, y.data, y.stride, static_cast<int>(q.size(1)), static_cast<float>(scale),
          static_cast<int>(window)},
         *how.team, how.level);
}

void gated_activation(const at::Tensor& gate_up, std::int64_t f, at::Tensor& out) {
  const auto x = rows_of(gate_up, "gate_up");
  const auto y = rows_of(out, "out");
  const auto n = out.size(1);
  TORCH_CHECK(gate_up.size(1) == 2 * n && gate_up.size(0) == out.size(0),
              "gated_activation: shapes do not fit");
  const auto& kernels = kernels_of(current_execution().level);
  for_rows(out.size(0), 2 * n, [&](std::int64_t row) {
    kernels.gate(static_cast<activation>(f), x[row], x[row] + n, y[row], static_cast<int>(n));
  });
}

} // namespace souffleur::cpu_operators
