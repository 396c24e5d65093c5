// The operators on the CPU: shape checks, then the raw kernels on the current execution's threads.
#include "engine/kernels/attention.hpp"
#include "engine/kernels/kernel_table.hpp"
#include "engine/kernels/matmul.hpp"
#include "engine/operators/execution.hpp"
#include "engine/operators/operator_functions.hpp"

#include <c10/util/Exception.h>

#include <algorithm>
#include <vector>

namespace souffleur::cpu_operators {

namespace {

/// Below this many floats a loop is over before a second thread has woken.
constexpr std::int64_t floats_worth_a_thread = 1 << 13;

/// Rows of floats, `stride` apart.
struct row_view {
  float* data;
  std::ptrdiff_t stride;

  float* operator[](std::ptrdiff_t row) const { return data + row * stride; }
};

/// Whether every [i] of a tensor is contiguous.
bool is_contiguous_inside(const at::Tensor& tensor) {
  std::int64_t inside = 1;
  for (auto d = tensor.dim() - 1; d > 0; --d) {
    if (tensor.size(d) != 1 && tensor.stride(d) != inside)
      return false;
    inside *= tensor.size(d);
  }
  return true;
}

/// A view of (n, ...) whose rows are contiguous inside.
row_view rows_of(const at::Tensor& tensor, const char* name) {
  TORCH_CHECK(tensor.scalar_type() == at::kFloat, name, ": expected float32");
  TORCH_CHECK(is_contiguous_inside(tensor), name, ": rows are not contiguous");
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
  page_lookup(const at::Tensor& sequences, const at::Tensor& positions, const at::Tensor& page_table,
              const std::int32_t* owners = nullptr)
      : sequences_(ints_of(sequences, "sequences")), positions_(ints_of(positions, "positions")),
        table_(ints_of(page_table, "page_table")), width_(static_cast<std::size_t>(page_table.size(1))),
        n_rows_(static_cast<int>(positions.size(0))), owners_(owners) {
    TORCH_CHECK(sequences.size(0) == positions.size(0), "sequences and positions differ in length");
  }
  int position(std::int64_t row) const { return positions_[row]; }
  row_places places() const {
    return {n_rows_, sequences_, positions_, table_, static_cast<std::ptrdiff_t>(width_), owners_};
  }
  int line(std::int64_t row) const { return sequences_[row]; }
  page_id page(int line, int position) const {
    return table_[static_cast<std::size_t>(line) * width_ + static_cast<std::size_t>(position / page_tokens)];
  }

private:
  const std::int32_t* sequences_;
  const std::int32_t* positions_;
  const std::int32_t* table_;
  std::size_t width_;
  int n_rows_;
  const std::int32_t* owners_;
};

kv_type kv_type_of(at::ScalarType type) {
  switch (type) {
  case at::kFloat:
    return kv_type::f32;
  case at::kHalf:
    return kv_type::f16;
  default:
    TORCH_CHECK(type == at::kChar, "key and value pages: expected float32, float16 or int8");
    return kv_type::int8;
  }
}

/// Whether every [i][j] of (n, m, rows, columns) is contiguous.
bool is_matrix_inside(const at::Tensor& tensor) {
  return tensor.stride(3) == 1 && tensor.stride(2) == tensor.size(3);
}

kv_layer layer_of(const at::Tensor& keys, const at::Tensor& values, const at::Tensor& key_scales,
                  const at::Tensor& value_scales) {
  TORCH_CHECK(keys.dim() == 4 && values.dim() == 4 && keys.size(3) == page_tokens &&
                  values.size(2) == page_tokens && keys.size(2) == values.size(3) &&
                  keys.scalar_type() == values.scalar_type() && keys.stride(0) == values.stride(0) &&
                  keys.stride(1) == values.stride(1) && is_matrix_inside(keys) && is_matrix_inside(values),
              "key and value pages: unexpected layout");
  TORCH_CHECK(keys.size(2) % 16 == 0 && keys.size(2) <= max_head_dim,
              "key and value pages: head sizes are multiples of 16 up to ", max_head_dim);
  kv_layer layer;
  layer.type = kv_type_of(keys.scalar_type());
  layer.keys = static_cast<std::byte*>(keys.data_ptr());
  layer.values = static_cast<std::byte*>(values.data_ptr());
  layer.page_stride_bytes = keys.stride(0) * static_cast<std::ptrdiff_t>(keys.element_size());
  layer.head_stride_bytes = keys.stride(1) * static_cast<std::ptrdiff_t>(keys.element_size());
  if (layer.type == kv_type::int8) {
    TORCH_CHECK(key_scales.dim() == 4 && key_scales.size(1) == keys.size(1) &&
                    key_scales.size(2) == n_key_scales(static_cast<int>(keys.size(2))) &&
                    key_scales.size(3) == page_tokens && value_scales.dim() == 3 &&
                    value_scales.size(1) == keys.size(1) && value_scales.size(2) == page_tokens &&
                    is_contiguous_inside(key_scales) && is_contiguous_inside(value_scales),
                "key and value scales: unexpected layout");
    layer.key_scales = key_scales.data_ptr<float>();
    layer.value_scales = value_scales.data_ptr<float>();
    layer.key_scale_stride = key_scales.stride(0);
    layer.value_scale_stride = value_scales.stride(0);
  }
  layer.n_kv_heads = static_cast<int>(keys.size(1));
  layer.head_dim = static_cast<int>(keys.size(2));
  return layer;
}

/// The weight of a norm over `n` values; null if there is none.
const float* norm_of(const at::Tensor& weight, std::int64_t n) {
  if (weight.numel() == 0)
    return nullptr;
  TORCH_CHECK(weight.numel() == n && weight.is_contiguous(), "norm: expected a weight for each of ", n);
  return weight.data_ptr<float>();
}

matmul_input input_of(const at::Tensor& x, const at::Tensor& norm, double epsilon,
                      const packed_linear& weight) {
  TORCH_CHECK(x.dim() == 2 && x.size(1) == weight.n_in(), "linear: x has ", x.size(-1), " columns, not ",
              weight.n_in());
  const auto rows = rows_of(x, "x");
  return {rows.data, rows.stride, static_cast<int>(x.size(0)), norm_of(norm, x.size(1)),
          static_cast<float>(epsilon)};
}

} // namespace

void embedding(const at::Tensor& tokens, const packed_linear_ptr& weight, at::Tensor& out) {
  const auto* ids = ints_of(tokens, "tokens");
  const auto y = rows_of(out, "out");
  const auto& table = weight->stack().front();
  TORCH_CHECK(out.size(1) == table.n_in() && out.size(0) == tokens.size(0), "embedding: shapes do not fit");
  for_rows(tokens.size(0), table.n_in(), [&](std::int64_t row) { unpack_row(table, ids[row], y[row]); });
}

void linear(const at::Tensor& x, const at::Tensor& norm, double epsilon, const packed_linear_ptr& weight,
            bool accumulate, at::Tensor& out) {
  const auto input = input_of(x, norm, epsilon, *weight);
  const auto y = rows_of(out, "out");
  TORCH_CHECK(out.size(1) == weight->n_out() && x.size(0) == out.size(0), "linear: shapes do not fit");
  const auto how = current_execution();
  const auto& bias = weight->bias();
  matmul(weight->stack(), input, {y.data, y.stride, bias.empty() ? nullptr : bias.data(), accumulate},
         *how.team, how.level);
}

void gated_linear(const at::Tensor& x, const at::Tensor& norm, double epsilon,
                  const packed_linear_ptr& weight, std::int64_t f, at::Tensor& out) {
  const auto input = input_of(x, norm, epsilon, *weight);
  const auto y = rows_of(out, "out");
  const auto& stack = weight->stack();
  const bool has_two_parts =
      stack.front().is_gated()
          ? stack.size() == 1
          : stack.size() == 2 && stack[0].n_out() == stack[1].n_out() && !stack[1].is_gated();
  TORCH_CHECK(has_two_parts && weight->bias().empty() && 2 * out.size(1) == weight->n_out() &&
                  x.size(0) == out.size(0),
              "gated_linear: shapes do not fit");
  const auto how = current_execution();
  matmul(weight->stack(), input, {y.data, y.stride, nullptr, false, static_cast<activation>(f)}, *how.team,
         how.level);
}

void rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon, at::Tensor& out) {
  const auto in = rows_of(x, "x");
  const auto y = rows_of(out, "out");
  const auto n = x.size(1);
  TORCH_CHECK(weight.numel() == n && out.sizes() == x.sizes(), "rms_norm: shapes do not fit");
  const auto* w = weight.data_ptr<float>();
  const auto& kernels = kernels_of(current_execution().level);
  for_rows(x.size(0), n, [&](std::int64_t row) {
    kernels.rms_norm(in[row], w, static_cast<float>(epsilon), y[row], static_cast<int>(n));
  });
}

void rotate_and_store(at::Tensor& heads, const at::Tensor& q_norm, const at::Tensor& k_norm, double epsilon,
                      const at::Tensor& cosines, const at::Tensor& sines, const at::Tensor& sequences,
                      const at::Tensor& positions, const at::Tensor& page_table, const at::Tensor& copies,
                      at::Tensor& key_pages, at::Tensor& value_pages, at::Tensor& key_scales,
                      at::Tensor& value_scales) {
  const page_lookup lookup{sequences, positions, page_table};
  const auto layer = layer_of(key_pages, value_pages, key_scales, value_scales);
  const auto x = rows_of(heads, "heads");
  const auto cosine = rows_of(cosines, "cosines");
  const auto sine = rows_of(sines, "sines");
  const int dim = layer.head_dim;
  TORCH_CHECK(heads.dim() == 3 && heads.size(2) == dim && heads.size(0) == positions.size(0) &&
                  heads.size(1) > 2 * layer.n_kv_heads && 2 * cosines.size(1) == dim &&
                  cosines.size(0) == heads.size(0) && sines.sizes() == cosines.sizes(),
              "rotate_and_store: shapes do not fit");
  const int n_kv = layer.n_kv_heads;
  const int n_q = static_cast<int>(heads.size(1)) - 2 * n_kv;
  const bool is_spread = has_spread_keys(layer.type, dim);
  const auto* q_weight = norm_of(q_norm, dim);
  const auto* k_weight = norm_of(k_norm, dim);
  const auto& kernels = kernels_of(current_execution().level);
  const auto write = [&](std::int64_t row, int line) {
    const int position = lookup.position(row);
    const float* keys = x[row] + static_cast<std::ptrdiff_t>(n_q) * dim;
    kernels.write_kv(layer, lookup.page(line, position), position % page_tokens, keys,
                     keys + static_cast<std::ptrdiff_t>(n_kv) * dim);
  };
  for_rows(heads.size(0), heads.size(1) * dim, [&](std::int64_t row) {
    for (int h = 0; h < n_q + n_kv; ++h) {
      float* head = x[row] + static_cast<std::ptrdiff_t>(h) * dim;
      if (const auto* weight = h < n_q ? q_weight : k_weight)
        kernels.rms_norm(head, weight, static_cast<float>(epsilon), head, dim);
      kernels.rotate(head, cosine[row], sine[row], dim / 2);
    }
    for (int h = 0; is_spread && h < n_q + n_kv; ++h)
      kernels.spread(x[row] + static_cast<std::ptrdiff_t>(h) * dim, dim);
    write(row, lookup.line(row));
  });
  const auto* copy = ints_of(copies, "copies");
  for (std::int64_t i = 0; i < copies.size(0); ++i)
    write(copy[2 * i], copy[2 * i + 1]);
}

void turn_page(std::int64_t from, std::int64_t to, const at::Tensor& cosines, const at::Tensor& sines,
               at::Tensor& key_pages, at::Tensor& value_pages, at::Tensor& key_scales,
               at::Tensor& value_scales) {
  const auto layer = layer_of(key_pages, value_pages, key_scales, value_scales);
  const auto cosine = rows_of(cosines, "cosines");
  const auto sine = rows_of(sines, "sines");
  const int dim = layer.head_dim;
  const auto n_pages = key_pages.size(0);
  TORCH_CHECK(2 * cosines.numel() == dim && sines.sizes() == cosines.sizes() && from >= 0 && from < n_pages &&
                  to >= 0 && to < n_pages,
              "turn_page: shapes do not fit");
  const auto& kernels = kernels_of(current_execution().level);
  std::vector<float> keys(static_cast<std::size_t>(layer.n_kv_heads * dim));
  std::vector<float> values(keys.size());
  for (int slot = 0; slot < page_tokens; ++slot) {
    read_kv(layer, static_cast<page_id>(from), slot, keys.data(), values.data());
    for (int h = 0; h < layer.n_kv_heads; ++h) {
      float* head = keys.data() + static_cast<std::ptrdiff_t>(h) * dim;
      const bool is_spread = has_spread_keys(layer.type, dim);
      if (is_spread) // the matrix is its own inverse
        kernels.spread(head, dim);
      kernels.rotate(head, cosine[0], sine[0], dim / 2);
      if (is_spread)
        kernels.spread(head, dim);
    }
    kernels.write_kv(layer, static_cast<page_id>(to), slot, keys.data(), values.data());
  }
}

void paged_attention(const at::Tensor& q, const at::Tensor& key_pages, const at::Tensor& value_pages,
                     const at::Tensor& key_scales, const at::Tensor& value_scales,
                     const at::Tensor& sequences, const at::Tensor& positions, const at::Tensor& page_table,
                     const at::Tensor& owners, std::int64_t window, double scale, at::Tensor& out) {
  TORCH_CHECK(owners.numel() == 0 || owners.numel() == page_table.size(0),
              "paged_attention: owners and page_table differ in length");
  const page_lookup lookup{sequences, positions, page_table,
                           owners.numel() > 0 ? ints_of(owners, "owners") : nullptr};
  const auto layer = layer_of(key_pages, value_pages, key_scales, value_scales);
  const auto x = rows_of(q, "q");
  const auto y = rows_of(out, "out");
  TORCH_CHECK(q.size(1) % layer.n_kv_heads == 0 && q.size(2) == layer.head_dim && q.sizes() == out.sizes(),
              "paged_attention: shapes do not fit");
  TORCH_CHECK(window >= 0, "paged_attention: the window is negative");
  const auto how = current_execution();
  attend(layer, lookup.places(),
         {x.data, x.stride, y.data, y.stride, static_cast<int>(q.size(1)), static_cast<float>(scale),
          static_cast<int>(window)},
         *how.team, how.level);
}

} // namespace souffleur::cpu_operators
