// The operators in float32 ATen: no threads, tables or tricks of our own, to hold the kernels against.
#include "engine/kernels/activation.hpp"
#include "engine/kernels/kv_layer.hpp"
#include "engine/operators/operator_functions.hpp"
#include "policies/token.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

namespace souffleur::reference_operators {

namespace {

/// All rows of the stack, (n_out, n_in).
at::Tensor dequantized(const packed_linear& weight) {
  auto all = at::empty({weight.n_out(), weight.n_in()}, at::kFloat);
  float* row = all.data_ptr<float>();
  for (const auto& matrix : weight.stack())
    for (int i = 0; i < matrix.n_out(); ++i, row += weight.n_in())
      unpack_row(matrix, i, row);
  return all;
}

/// Page and slot of each row's own position, (n,) each.
std::pair<at::Tensor, at::Tensor> places_of(const at::Tensor& sequences, const at::Tensor& positions,
                                            const at::Tensor& page_table) {
  const auto at = positions.to(at::kLong);
  const auto blocks = at::floor_divide(at, page_tokens);
  return {page_table.to(at::kLong).index({sequences.to(at::kLong), blocks}), at - blocks * page_tokens};
}

} // namespace

void embedding(const at::Tensor& tokens, const packed_linear_ptr& weight, at::Tensor& out) {
  out.copy_(dequantized(*weight).index_select(0, tokens.to(at::kCPU, at::kLong)));
}

namespace {

at::Tensor normed(const at::Tensor& x, const at::Tensor& weight, double epsilon) {
  if (weight.numel() == 0)
    return x;
  return x * at::rsqrt(x.square().mean(-1, true) + epsilon) * weight;
}

at::Tensor product(const at::Tensor& x, const packed_linear& weight) {
  const auto y = at::matmul(x, dequantized(weight).to(x.device()).t());
  auto bias = weight.bias();
  return bias.empty() ? y : y + at::from_blob(bias.data(), {weight.n_out()}, at::kFloat).to(x.device());
}

} // namespace

void linear(const at::Tensor& x, const at::Tensor& norm, double epsilon, const packed_linear_ptr& weight,
            bool accumulate, at::Tensor& out) {
  const auto y = product(normed(x, norm, epsilon), *weight);
  out.copy_(accumulate ? out + y : y);
}

void gated_linear(const at::Tensor& x, const at::Tensor& norm, double epsilon,
                  const packed_linear_ptr& weight, std::int64_t f, at::Tensor& out) {
  const auto halves = product(normed(x, norm, epsilon), *weight).chunk(2, -1);
  const bool is_silu = static_cast<activation>(f) == activation::silu;
  out.copy_((is_silu ? at::silu(halves[0]) : at::gelu(halves[0], "tanh")) * halves[1]);
}

void rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon, at::Tensor& out) {
  out.copy_(normed(x, weight, epsilon));
}

namespace {

/// To heads (n, n_heads, head_dim), in place; angles are (n, head_dim / 2), or one for all.
void rotate(at::Tensor heads, const at::Tensor& cosines, const at::Tensor& sines) {
  const auto cosine = cosines.unsqueeze(1);
  const auto sine = sines.unsqueeze(1);
  const auto halves = heads.chunk(2, -1);
  heads.copy_(at::cat({halves[0] * cosine - halves[1] * sine, halves[0] * sine + halves[1] * cosine}, -1));
}

/// The orthogonal Hadamard matrix (n, n) of a power of two.
at::Tensor hadamard(std::int64_t n) {
  auto matrix = at::ones({1, 1}, at::kFloat);
  while (matrix.size(0) < n)
    matrix = at::cat({at::cat({matrix, matrix}, 1), at::cat({matrix, -matrix}, 1)}, 0);
  return matrix / std::sqrt(static_cast<double>(n));
}

using slots = std::pair<at::Tensor, at::Tensor>; ///< pages and places in them

/// Writes vectors (n, n_kv_heads, head_dim) to `places`, a view (n_pages, page_tokens, n_kv_heads, head_dim);
/// for int8 with a scale for each `per_scale` values in `scales`, (n_pages, page_tokens, n_kv_heads,
/// n_scales).
void store(const at::Tensor& vectors, const slots& where, at::Tensor places, at::Tensor scales,
           std::int64_t per_scale) {
  if (places.scalar_type() != at::kChar) {
    places.index_put_({where.first, where.second}, vectors.to(places.scalar_type()));
    return;
  }
  std::vector<at::Tensor> rounded;
  std::vector<at::Tensor> scale;
  for (const auto& part : vectors.split(per_scale, -1)) {
    scale.push_back(part.abs().amax(-1, true) / 127);
    rounded.push_back((part / scale.back().clamp_min(1e-30)).round());
  }
  places.index_put_({where.first, where.second}, at::cat(rounded, -1).to(at::kChar));
  scales.index_put_({where.first, where.second}, at::cat(scale, -1));
}

/// Values (n_pages, page_tokens, n_kv_heads, head_dim) as floats, scales as store() has them.
at::Tensor loaded(const at::Tensor& values, const at::Tensor& scales, std::int64_t per_scale) {
  const auto floats = values.to(at::kFloat);
  if (values.scalar_type() != at::kChar)
    return floats;
  return floats * scales.repeat_interleave(per_scale, -1).narrow(-1, 0, values.size(-1));
}

/// Views of keys and values with their scales, (n_pages, page_tokens, n_kv_heads, ...).
struct pages_by_slot {
  pages_by_slot(const at::Tensor& key_pages, const at::Tensor& value_pages, const at::Tensor& key_scales_,
                const at::Tensor& value_scales_)
      : keys(key_pages.permute({0, 3, 1, 2})), values(value_pages.permute({0, 2, 1, 3})),
        key_scales(key_scales_), value_scales(value_scales_) {
    if (keys.scalar_type() == at::kChar) {
      key_scales = key_scales.permute({0, 3, 1, 2});
      value_scales = value_scales.transpose(1, 2).unsqueeze(-1);
    }
  }
  at::Tensor keys, values, key_scales, value_scales;
};

} // namespace

void rotate_and_store(at::Tensor& heads, const at::Tensor& q_norm, const at::Tensor& k_norm, double epsilon,
                      const at::Tensor& cosines, const at::Tensor& sines, const at::Tensor& sequences,
                      const at::Tensor& positions, const at::Tensor& page_table, const at::Tensor& copies,
                      at::Tensor& key_pages, at::Tensor& value_pages, at::Tensor& key_scales,
                      at::Tensor& value_scales) {
  const auto n_kv = key_pages.size(1);
  const auto n_q = heads.size(1) - 2 * n_kv;
  auto q = heads.narrow(1, 0, n_q);
  auto k = heads.narrow(1, n_q, n_kv);
  q.copy_(normed(q, q_norm, epsilon));
  k.copy_(normed(k, k_norm, epsilon));
  rotate(heads.narrow(1, 0, n_q + n_kv), cosines, sines);
  if (key_pages.scalar_type() == at::kChar &&
      has_spread_keys(kv_type::int8, static_cast<int>(heads.size(2)))) {
    auto spread = heads.narrow(1, 0, n_q + n_kv);
    spread.copy_(at::matmul(spread, hadamard(heads.size(2)).to(heads.device())));
  }
  const auto all_rows = at::arange(heads.size(0), at::TensorOptions{at::kLong}.device(heads.device()));
  const auto rows = at::cat({all_rows, copies.select(1, 0).to(at::kLong)});
  const auto lines = at::cat({sequences, copies.select(1, 1)});
  const auto where = places_of(lines, positions.index_select(0, rows), page_table);
  const pages_by_slot pages{key_pages, value_pages, key_scales, value_scales};
  const auto v = heads.narrow(1, n_q + n_kv, n_kv);
  store(k.index_select(0, rows), where, pages.keys, pages.key_scales, key_scale_values);
  store(v.index_select(0, rows), where, pages.values, pages.value_scales, heads.size(2));
}

void turn_page(std::int64_t from, std::int64_t to, const at::Tensor& cosines, const at::Tensor& sines,
               at::Tensor& key_pages, at::Tensor& value_pages, at::Tensor& key_scales,
               at::Tensor& value_scales) {
  const pages_by_slot pages{key_pages, value_pages, key_scales, value_scales};
  const bool has_scales = key_scales.numel() > 0;
  const auto dim = key_pages.size(2);
  auto keys =
      loaded(pages.keys[from], has_scales ? pages.key_scales[from] : pages.key_scales, key_scale_values)
          .clone();
  const bool is_spread = has_scales && has_spread_keys(kv_type::int8, static_cast<int>(dim));
  const auto spread = is_spread ? hadamard(dim).to(keys.device()) : at::Tensor{};
  if (is_spread)
    keys = at::matmul(keys, spread);
  rotate(keys, cosines, sines);
  if (is_spread)
    keys = at::matmul(keys, spread);
  const auto all_slots = at::arange(page_tokens, at::TensorOptions{at::kLong}.device(keys.device()));
  store(keys, {at::full_like(all_slots, to), all_slots}, pages.keys, pages.key_scales, key_scale_values);
  pages.values[to].copy_(pages.values[from]);
  if (has_scales)
    pages.value_scales[to].copy_(pages.value_scales[from]);
}

void paged_attention(const at::Tensor& q, const at::Tensor& key_pages, const at::Tensor& value_pages,
                     const at::Tensor& key_scales, const at::Tensor& value_scales,
                     const at::Tensor& sequences, const at::Tensor& positions, const at::Tensor& page_table,
                     const at::Tensor& /*owners*/, std::int64_t window, double scale, at::Tensor& out) {
  const auto n_shared = q.size(1) / key_pages.size(1);
  const pages_by_slot stored{key_pages, value_pages, key_scales, value_scales};
  for (std::int64_t row = 0; row < q.size(0); ++row) {
    const auto n_positions = positions[row].item<std::int64_t>() + 1;
    const auto first = window == 0 ? 0 : std::max<std::int64_t>(0, n_positions - window);
    const auto pages = page_table[sequences[row].item<std::int64_t>()]
                           .slice(0, 0, (n_positions + page_tokens - 1) / page_tokens)
                           .to(at::kLong);
    const auto take = [&](const at::Tensor& all, const at::Tensor& scales, std::int64_t per_scale) {
      const auto own = scales.numel() > 0 ? scales.index_select(0, pages) : scales;
      return loaded(all.index_select(0, pages), own, per_scale).flatten(0, 1).transpose(0, 1);
    };
    const auto keys = take(stored.keys, stored.key_scales, key_scale_values);
    const auto values = take(stored.values, stored.value_scales, q.size(2));
    const auto k = keys.slice(1, first, n_positions).repeat_interleave(n_shared, 0);
    const auto v = values.slice(1, first, n_positions).repeat_interleave(n_shared, 0);
    const auto scores = at::matmul(k, q[row].unsqueeze(-1)).squeeze(-1) * scale;
    out[row].copy_(at::matmul(at::softmax(scores, -1).unsqueeze(1), v).squeeze(1));
  }
}

} // namespace souffleur::reference_operators
