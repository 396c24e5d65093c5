// The CPU kernels against the same operators in plain ATen, over random batches.
#include "engine/kernels/kv_layer.hpp"
#include "engine/operators/execution.hpp"
#include "engine/operators/model_operators.hpp"
#include "policies/token.hpp"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <random>
#include <span>

namespace souffleur {
namespace {

const model_operators& kernels() {
  static const model_operators operators{operator_set::kernels};
  return operators;
}
const model_operators& reference() {
  static const model_operators operators{operator_set::reference};
  return operators;
}

using random_source = std::mt19937;
random_source any_source() { return random_source{*rc::gen::arbitrary<std::uint32_t>()}; }

at::Tensor normal(at::IntArrayRef shape, random_source& random) {
  auto tensor = at::empty(shape, at::kFloat);
  std::normal_distribution<float> value;
  std::generate_n(tensor.data_ptr<float>(), tensor.numel(), [&] { return value(random); });
  return tensor;
}

at::Tensor ints(const std::vector<std::int32_t>& values) {
  auto tensor = at::empty({static_cast<std::int64_t>(values.size())}, at::kInt);
  std::copy(values.begin(), values.end(), tensor.data_ptr<std::int32_t>());
  return tensor;
}

/// The largest |a - b| / (1 + |b|).
double distance(const at::Tensor& a, const at::Tensor& b) {
  return ((a - b).abs() / (1 + b.abs())).max().item<double>();
}

/// Sequences of different lengths, their pages shuffled over the pool, each with a few rows at its end.
struct any_batch {
  batch_layout rows;
  batch_layout history; ///< one row for every position before those
  std::int64_t n_pages = 0;

  explicit any_batch(random_source& random) {
    const int n_sequences = *rc::gen::inRange(1, 5);
    std::vector<int> lengths;
    std::vector<std::int32_t> row_sequences, row_positions, past_sequences, past_positions;
    for (int s = 0; s < n_sequences; ++s) {
      const int n_past =
          *rc::gen::weightedOneOf<int>({{4, rc::gen::inRange(0, 70)}, {1, rc::gen::inRange(200, 600)}});
      const int n_rows = *rc::gen::inRange(1, 6);
      lengths.push_back(n_past + n_rows);
      for (int p = 0; p < n_past + n_rows; ++p) {
        (p < n_past ? past_sequences : row_sequences).push_back(s);
        (p < n_past ? past_positions : row_positions).push_back(p);
      }
    }
    const int width = (*std::max_element(lengths.begin(), lengths.end()) - 1) / page_tokens + 1;
    n_pages = n_sequences * width + 3;
    std::vector<std::int32_t> pool(static_cast<std::size_t>(n_pages));
    std::iota(pool.begin(), pool.end(), 0);
    std::shuffle(pool.begin(), pool.end(), random);
    pool.resize(static_cast<std::size_t>(n_sequences * width));
    const auto table = ints(pool).view({n_sequences, width});
    rows = {ints(row_sequences), ints(row_positions), table};
    history = {ints(past_sequences), ints(past_positions), table};
  }
};

tensor_type any_type() { return *rc::gen::element(tensor_type::f32, tensor_type::q8_0, tensor_type::q4_0); }

/// A stack of 1 to 3 matrices of random formats with random weights and perhaps a bias.
packed_linear_ptr any_linear(int n_in, random_source& random, bool& is_exact) {
  std::vector<packed_matrix> stack;
  int n_out = 0;
  is_exact = true;
  for (int i = *rc::gen::inRange(1, 4); i > 0; --i) {
    const auto type = any_type();
    is_exact = is_exact && type == tensor_type::f32;
    const int own = 8 * *rc::gen::inRange(1, 5) + (i == 1 ? *rc::gen::inRange(0, 8) : 0);
    const auto shape = block_shape_of(type);
    std::vector<std::byte> bytes(static_cast<std::size_t>(own * n_in / shape.n_values * shape.n_bytes));
    if (type == tensor_type::f32) {
      const auto values = normal({own, n_in}, random);
      std::memcpy(bytes.data(), values.data_ptr<float>(), bytes.size());
    } else {
      for (auto& byte : bytes)
        byte = static_cast<std::byte>(random() & 0xFFU);
      constexpr std::uint16_t hundredth = 0x211F; // in half precision
      for (std::size_t at = 0; at < bytes.size(); at += static_cast<std::size_t>(shape.n_bytes))
        std::memcpy(bytes.data() + at, &hundredth, 2);
    }
    stack.push_back(packed_matrix::pack(type, bytes, own, n_in));
    n_out += own;
  }
  std::vector<float> bias;
  if (*rc::gen::arbitrary<bool>())
    for (int o = 0; o < n_out; ++o)
      bias.push_back(static_cast<float>(random() % 1000) / 250.0F);
  return c10::make_intrusive<packed_linear>(std::move(stack), std::move(bias));
}

/// Runs the body on two threads, without gradients.
struct Operators : testing::Test {
  c10::InferenceMode no_gradients;
  thread_team team{2};
  execution_scope scope{{&team, best_isa()}};
};

/// A norm over `n` values, or none.
input_norm any_norm(std::int64_t n, random_source& random) {
  const bool is_there = *rc::gen::arbitrary<bool>();
  return {normal({is_there ? n : 0}, random), 1e-5};
}

/// 1 / 254 of a block's largest activation for each of n_in weights (about 0.7 rms), at 6 sigma.
double rounding(const at::Tensor& x, int n_in) {
  return 6 * x.abs().max().item<double>() / 254 / std::sqrt(3.0) * 0.7 * std::sqrt(n_in);
}

// Fails if a stacked matrix writes to its neighbour's columns, takes its bias, or loses what it should add
// to.
RC_GTEST_FIXTURE_PROP(Operators, LinearIsTheFloatProductUpToRoundedActivations, ()) {
  auto random = any_source();
  const int n_in = 64 * *rc::gen::inRange(1, 5);
  const int n_rows = *rc::gen::inRange(1, 10);
  bool is_exact = false;
  const auto weight = any_linear(n_in, random, is_exact);
  const auto x = normal({n_rows, n_in}, random);
  const auto norm = any_norm(n_in, random);
  const auto before = normal({n_rows, weight->n_out()}, random);
  const bool accumulate = *rc::gen::arbitrary<bool>();
  auto ours = before.clone();
  auto expected = before.clone();
  kernels().linear(x, norm, weight, accumulate, ours);
  reference().linear(x, norm, weight, accumulate, expected);
  auto input = x.clone();
  if (norm.weight.numel() > 0)
    reference().rms_norm(x, norm, input);
  RC_ASSERT((ours - expected).abs().max().item<double>() < (is_exact ? 2e-3 : rounding(input, n_in)));
}

// Fails if gate and up change places, or a row of one meets another row of the other.
RC_GTEST_FIXTURE_PROP(Operators, GatedLinearOfFloatWeightsIsThatOfTheReference, ()) {
  auto random = any_source();
  const int n_in = 32 * *rc::gen::inRange(1, 5);
  const int n_rows = *rc::gen::inRange(1, 10);
  const int n_out = *rc::gen::inRange(1, 60);
  const at::Tensor values[2] = {normal({n_out, n_in}, random) / std::sqrt(n_in),
                                normal({n_out, n_in}, random) / std::sqrt(n_in)};
  const auto bytes_of = [&](const at::Tensor& matrix) {
    return std::as_bytes(std::span{matrix.data_ptr<float>(), static_cast<std::size_t>(n_out * n_in)});
  };
  std::vector<packed_matrix> stack;
  if (*rc::gen::arbitrary<bool>())
    stack.push_back(
        packed_matrix::pack_gated(tensor_type::f32, bytes_of(values[0]), bytes_of(values[1]), n_out, n_in));
  else
    for (const auto& matrix : values)
      stack.push_back(packed_matrix::pack(tensor_type::f32, bytes_of(matrix), n_out, n_in));
  const auto weight = c10::make_intrusive<packed_linear>(std::move(stack));
  const auto x = normal({n_rows, n_in}, random);
  const auto norm = any_norm(n_in, random);
  const auto f = *rc::gen::element(activation::silu, activation::gelu_tanh);
  auto ours = at::empty({n_rows, n_out});
  auto expected = at::empty({n_rows, n_out});
  kernels().gated_linear(x, norm, weight, f, ours);
  reference().gated_linear(x, norm, weight, f, expected);
  RC_ASSERT(distance(ours, expected) < 1e-4);
}

RC_GTEST_FIXTURE_PROP(Operators, EmbeddingIsTheRowsExactly, ()) {
  auto random = any_source();
  bool is_exact = false;
  const auto weight = any_linear(128, random, is_exact);
  const auto n_tokens = weight->stack().front().n_out();
  const auto tokens = ints(*rc::gen::container<std::vector<std::int32_t>>(7, rc::gen::inRange(0, n_tokens)));
  auto ours = at::empty({7, 128});
  auto expected = at::empty({7, 128});
  kernels().embedding(tokens, weight, ours);
  reference().embedding(tokens, weight, expected);
  RC_ASSERT(at::equal(ours, expected));
}

RC_GTEST_FIXTURE_PROP(Operators, NormIsThatOfTheReference, ()) {
  auto random = any_source();
  const int n_rows = *rc::gen::inRange(1, 40);
  const int n = *rc::gen::inRange(1, 700);
  const auto x = 3 * normal({n_rows, n}, random);
  const input_norm norm{normal({n}, random), 1e-5};
  auto ours = at::empty({n_rows, n});
  auto expected = at::empty({n_rows, n});
  kernels().rms_norm(x, norm, ours);
  reference().rms_norm(x, norm, expected);
  RC_ASSERT(distance(ours, expected) < 1e-5);
}

/// Pages as the pool has them: those of all layers beside each other. Filled with what must not be read.
kv_tensors any_pages(at::ScalarType dtype, std::int64_t n_pages, std::int64_t n_kv_heads,
                     std::int64_t head_dim) {
  const auto filled = [&](at::IntArrayRef shape, at::ScalarType type) {
    auto whole = at::full(shape, 1, at::TensorOptions{type});
    if (type != at::kChar)
      whole.fill_(type == at::kHalf ? 6e4 : 1e30);
    return whole.select(1, 1);
  };
  const bool has_scales = dtype == at::kChar;
  return {filled({n_pages, 3, n_kv_heads, head_dim, page_tokens}, dtype),
          filled({n_pages, 3, n_kv_heads, page_tokens, head_dim}, dtype),
          has_scales ? filled({n_pages, 3, n_kv_heads, n_key_scales(static_cast<int>(head_dim)), page_tokens},
                              at::kFloat)
                     : at::empty({0}),
          has_scales ? filled({n_pages, 3, n_kv_heads, page_tokens}, at::kFloat) : at::empty({0})};
}

// Fails if a row sees the position after its own or the one before its window, a page out of order, or
// another sequence's pages; if a head takes its neighbour's norm or angle.
RC_GTEST_FIXTURE_PROP(Operators, AttentionOverShuffledPagesIsThatOfTheReference, ()) {
  auto random = any_source();
  const any_batch batch{random};
  const int n_kv_heads = *rc::gen::inRange(1, 4);
  const int n_heads = n_kv_heads * *rc::gen::inRange(1, 8);
  const int head_dim = 16 * *rc::gen::inRange(1, 9);
  const auto dtype = *rc::gen::element(at::kFloat, at::kHalf, at::kChar);
  const auto levels = available_isas();
  const execution_scope any_level{{&team, *rc::gen::elementOf(levels)}};
  auto ours = any_pages(dtype, batch.n_pages, n_kv_heads, head_dim);
  auto expected = any_pages(dtype, batch.n_pages, n_kv_heads, head_dim);
  const auto q_norm = any_norm(head_dim, random);
  const auto k_norm = any_norm(head_dim, random);
  at::Tensor q;
  for (const auto* part : {&batch.history, &batch.rows}) {
    if (part->positions.size(0) == 0)
      continue;
    auto heads = normal({part->positions.size(0), n_heads + 2 * n_kv_heads, head_dim}, random);
    auto expected_heads = heads.clone();
    const auto angles = normal({part->positions.size(0), head_dim / 2}, random);
    kernels().rotate_and_store(heads, q_norm, k_norm, angles.cos(), angles.sin(), *part, ours);
    reference().rotate_and_store(expected_heads, q_norm, k_norm, angles.cos(), angles.sin(), *part, expected);
    RC_ASSERT(distance(heads, expected_heads) < 1e-5);
    q = heads.narrow(1, 0, n_heads);
  }
  const auto n_rows = batch.rows.positions.size(0);
  auto out = at::empty({n_rows, n_heads, head_dim});
  auto out_expected = at::empty_like(out);
  const int window = *rc::gen::weightedOneOf<int>({{1, rc::gen::just(0)}, {3, rc::gen::inRange(1, 80)}});
  const double scale = *rc::gen::element(0.125, 1.0) / std::sqrt(head_dim);
  kernels().paged_attention(q, ours, batch.rows, window, scale, out);
  reference().paged_attention(q, ours, batch.rows, window, scale, out_expected);
  RC_ASSERT(distance(out, out_expected) < 1e-4);
  reference().paged_attention(q, expected, batch.rows, window, scale, out_expected);
  RC_ASSERT(distance(out, out_expected) < (dtype == at::kFloat ? 1e-4 : dtype == at::kHalf ? 1e-2 : 0.2));
  const auto row = *rc::gen::inRange<std::int64_t>(0, n_rows);
  const batch_layout alone{batch.rows.sequences.slice(0, row, row + 1),
                           batch.rows.positions.slice(0, row, row + 1), batch.rows.page_table};
  auto out_alone = at::empty({1, n_heads, head_dim});
  kernels().paged_attention(q.slice(0, row, row + 1), ours, alone, window, scale, out_alone);
  RC_ASSERT(at::equal(out_alone[0], out[row]));
}

// Fails if a head keeps the angle of its neighbour, the values turn too, or int8 keys are turned as they are
// spread.
RC_GTEST_FIXTURE_PROP(Operators, ATurnedPageHasItsKeysFurtherOn, ()) {
  auto random = any_source();
  const int n_kv_heads = *rc::gen::inRange(1, 4);
  const int head_dim = 16 * *rc::gen::inRange(1, 9);
  const auto dtype = *rc::gen::element(at::kFloat, at::kHalf, at::kChar);
  const execution_scope any_level{{&team, *rc::gen::elementOf(available_isas())}};
  auto pages = any_pages(dtype, 3, n_kv_heads, head_dim);
  auto expected = any_pages(dtype, 3, n_kv_heads, head_dim);
  const auto all_slots = at::arange(page_tokens, at::kInt);
  const batch_layout first_page{at::zeros({page_tokens}, at::kInt), all_slots, ints({1}).unsqueeze(0)};
  const input_norm none{at::empty({0}), 0};
  const auto heads = normal({page_tokens, 3 * n_kv_heads, head_dim}, random);
  const auto before = normal({page_tokens, head_dim / 2}, random);
  const auto by = normal({1, head_dim / 2}, random);
  auto turned = heads.clone();
  kernels().rotate_and_store(turned, none, none, before.cos(), before.sin(), first_page, pages);
  kernels().turn_page(1, 2, by.cos(), by.sin(), pages);
  turned = heads.clone();
  const auto after = before + by;
  reference().rotate_and_store(turned, none, none, after.cos(), after.sin(), first_page, expected);
  const auto tolerance = dtype == at::kFloat ? 1e-5 : dtype == at::kHalf ? 1e-2 : 0.2;
  const batch_layout last_page{first_page.sequences, all_slots, ints({2}).unsqueeze(0)};
  const auto attended = [&](const kv_tensors& kv, const batch_layout& where) {
    auto out = at::empty({page_tokens, n_kv_heads, head_dim});
    reference().paged_attention(turned.narrow(1, 0, n_kv_heads), kv, where, 0, 1 / std::sqrt(head_dim), out);
    return out;
  };
  RC_ASSERT(distance(attended(pages, last_page), attended(expected, first_page)) < tolerance);
  reference().rotate_and_store(turned = heads.clone(), none, none, before.cos(), before.sin(), first_page,
                               expected);
  reference().turn_page(1, 2, by.cos(), by.sin(), expected);
  RC_ASSERT(distance(attended(pages, last_page), attended(expected, last_page)) < tolerance);
}

TEST_F(Operators, RefuseShapesThatDoNotFit) {
  auto out = at::empty({2, 8});
  const auto norm = [](std::int64_t n) { return input_norm{at::empty({n}), 1e-5}; };
  EXPECT_THROW(kernels().rms_norm(at::empty({2, 8}), norm(7), out), c10::Error);
  EXPECT_THROW(kernels().rms_norm(at::empty({8, 2}).t(), norm(8), out), c10::Error);
  EXPECT_THROW(kernels().rms_norm(at::empty({2, 8}, at::kDouble), norm(8), out), c10::Error);
  std::vector<std::byte> bytes(4 * 8 * 32);
  const auto weight = c10::make_intrusive<packed_linear>(
      std::vector<packed_matrix>{packed_matrix::pack(tensor_type::f32, bytes, 8, 32)});
  EXPECT_THROW(kernels().linear(at::empty({2, 31}), norm(0), weight, false, out), c10::Error);
  EXPECT_THROW(kernels().linear(at::empty({2, 32}), norm(31), weight, false, out), c10::Error);
  EXPECT_THROW(kernels().gated_linear(at::empty({2, 32}), norm(0), weight, activation::silu, out),
               c10::Error);
}

} // namespace
} // namespace souffleur
