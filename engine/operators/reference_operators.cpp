// The operators in float32 ATen: no threads, tables or tricks of our own, to hold the kernels against.
#include "engine/kernels/activation.hpp"
#include "engine/operators/operator_functions.hpp"
#include "policies/token.hpp"

#include <ATen/ATen.h>

#include <algorithm>

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

void quantized_linear(const at::Tensor& x, const packed_linear_ptr& weight, bool accumulate,
                      at::Tensor& out) {
  auto y = at::matmul(x, dequantized(*weight).to(x.device()).t());
  if (!weight->bias().empty()) {
    auto bias = weight->bias();
    y = y + at::from_blob(bias.data(), {weight->n_out()}, at::kFloat).to(x.device());
  }
  out.copy_(accumulate ? out + y : y);
}

void rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon, at::Tensor& out) {
  out.copy_(x * at::rsqrt(x.square().mean(-1, true) + epsilon) * weight);
}

void rope(const at::Tensor& positions, const at::Tensor& cosines, const at::Tensor& sines, bool interleaved,
          at::Tensor& heads) {
  const auto cosine = cosines.index_select(0, positions.to(at::kLong)).unsqueeze(1);
  const auto sine = sines.index_select(0, positions.to(at::kLong)).unsqueeze(1);
  const auto half = heads.size(2) / 2;
  const auto pairs =
      interleaved ? heads.unflatten(-1, {half, 2}) : heads.unflatten(-1, {2, half}).transpose(-1, -2);
  const auto a = pairs.select(-1, 0);
  const auto b = pairs.select(-1, 1);
  const auto turned = at::stack({a * cosine - b * sine, a * sine + b * cosine}, -1);
  heads.copy_((interleaved ? turned : turned.transpose(-1, -2)).flatten(-2));
}

void write_kv(const at::Tensor& keys, const at::Tensor& values, const at::Tensor& sequences,
              const at::Tensor& positions, const at::Tensor& page_table, at::Tensor& key_pages,
              at::Tensor& value_pages) {
  const auto [pages, slots] = places_of(sequences, positions, page_table);
  key_pages.permute({0, 3, 1, 2}).index_put_({pages, slots}, keys);
  value_pages.permute({0, 2, 1, 3}).index_put_({pages, slots}, values);
}

void paged_attention(const at::Tensor& q, const at::Tensor& key_pages, const at::Tensor& value_pages,
                     const at::Tensor& sequences, const at::Tensor& positions, const at::Tensor& page_table,
                     std::int64_t window, double scale, at::Tensor& out) {
  const auto n_shared = q.size(1) / key_pages.size(1);
  for (std::int64_t row = 0; row < q.size(0); ++row) {
    const auto n_positions = positions[row].item<std::int64_t>() + 1;
    const auto first = window == 0 ? 0 : std::max<std::int64_t>(0, n_positions - window);
    const auto pages = page_table[sequences[row].item<std::int64_t>()]
                           .slice(0, 0, (n_positions + page_tokens - 1) / page_tokens)
                           .to(at::kLong);
    const auto keys = key_pages.index_select(0, pages).permute({1, 0, 3, 2}).flatten(1, 2);
    const auto values = value_pages.index_select(0, pages).transpose(0, 1).flatten(1, 2);
    const auto k = keys.slice(1, first, n_positions).repeat_interleave(n_shared, 0);
    const auto v = values.slice(1, first, n_positions).repeat_interleave(n_shared, 0);
    const auto scores = at::matmul(k, q[row].unsqueeze(-1)).squeeze(-1) * scale;
    out[row].copy_(at::matmul(at::softmax(scores, -1).unsqueeze(1), v).squeeze(1));
  }
}

void gated_activation(const at::Tensor& gate_up, std::int64_t f, at::Tensor& out) {
  const auto halves = gate_up.chunk(2, -1);
  const bool is_silu = static_cast<activation>(f) == activation::silu;
  out.copy_((is_silu ? at::silu(halves[0]) : at::gelu(halves[0], "tanh")) * halves[1]);
}

} // namespace souffleur::reference_operators
