// The device's reference against the CPU engine's kernels and policies.
#include "engine/cuda/backend.hpp"

#include "engine/kernels/matmul.hpp"
#include "engine/sampler.hpp"
#include "policies/exact_match.hpp"
#include "tests/engine/random_blocks.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace souffleur::cuda {
namespace {

using testing::random_blocks;
using testing::random_floats;

/// Rows as the backend rounds them.
struct held_rows {
  held_rows(std::vector<float> values, int n_rows, int n_in)
      : floats(std::move(values)), quants(static_cast<std::size_t>(padded_rows(n_rows) * n_in)),
        stats(quants.size() / block_values) {
    make_host_backend()->normalise(
        {.x = floats.data(), .n_rows = n_rows, .n = n_in, .out = {nullptr, view().rounded}});
  }
  activation_rows view() { return {floats.data(), {quants.data(), stats.data()}}; }

  std::vector<float> floats;
  std::vector<std::int8_t> quants;
  std::vector<block_stats> stats;
};

void expect_near(const std::vector<float>& got, const std::vector<float>& expected, float tolerance,
                 std::string_view what) {
  float largest = 0;
  for (const float value : expected)
    largest = std::max(largest, std::fabs(value));
  ASSERT_EQ(got.size(), expected.size());
  for (std::size_t i = 0; i < got.size(); ++i)
    ASSERT_NEAR(got[i], expected[i], tolerance * largest) << what << " at " << i;
}

std::vector<std::uint8_t> packed(tensor_type type, const std::vector<std::byte>& source, int n_out, int n_in,
                                 const std::vector<std::byte>& every_other = {}) {
  const int n_tensors = every_other.empty() ? 1 : 2;
  std::vector<std::uint8_t> bytes(device_bytes(type, n_tensors * n_out, n_in));
  const auto shape = matrix_at(nullptr, type, n_tensors * n_out, n_in);
  pack_rows(shape, source, n_out, {0, n_tensors}, bytes.data());
  if (n_tensors == 2)
    pack_rows(shape, every_other, n_out, {1, 2}, bytes.data());
  return bytes;
}

TEST(HostBackend, ProductsAreTheCpuEngines) {
  std::mt19937 random{1};
  thread_team team{1};
  const int n_rows = 3;
  const int n_out = 37;
  for (const auto type : device_types)
    for (const int n_in : {256, 1536, 8448}) { // a different number of lanes each
      const auto source = random_blocks(type, n_out * n_in, random);
      held_rows x{random_floats(n_rows * n_in, random), n_rows, n_in};
      const auto bias = random_floats(n_out, random);
      auto expected = random_floats(n_rows * n_out, random);
      auto got = expected;
      const packed_matrix weights[] = {packed_matrix::pack(type, source, n_out, n_in)};
      matmul(weights, {x.floats.data(), n_in, n_rows}, {expected.data(), n_out, bias.data(), true}, team,
             best_isa());
      const auto bytes = packed(type, source, n_out, n_in);
      make_host_backend()->multiply({.weights = matrix_at(bytes.data(), type, n_out, n_in),
                                     .x = x.view(),
                                     .n_rows = n_rows,
                                     .y = got.data(),
                                     .y_stride = n_out,
                                     .bias = bias.data(),
                                     .accumulate = true});
      expect_near(got, expected, 1e-5F, to_string(type));
    }
}

TEST(HostBackend, GatedProductsAreTheCpuEngines) {
  std::mt19937 random{2};
  thread_team team{1};
  const int n_rows = 2;
  const int n_out = 21;
  const int n_in = 512;
  for (const auto kind : {activation::silu, activation::gelu_tanh})
    for (const auto type : device_types) {
      const auto gate = random_blocks(type, n_out * n_in, random);
      const auto up = random_blocks(type, n_out * n_in, random);
      held_rows x{random_floats(n_rows * n_in, random), n_rows, n_in};
      std::vector<float> expected(static_cast<std::size_t>(n_rows * n_out));
      auto got = expected;
      const packed_matrix weights[] = {packed_matrix::pack_gated(type, gate, up, n_out, n_in)};
      matmul(weights, {x.floats.data(), n_in, n_rows}, {expected.data(), n_out, nullptr, false, kind}, team,
             best_isa());
      const auto bytes = packed(type, gate, n_out, n_in, up);
      make_host_backend()->multiply({.weights = matrix_at(bytes.data(), type, 2 * n_out, n_in),
                                     .x = x.view(),
                                     .n_rows = n_rows,
                                     .y = got.data(),
                                     .y_stride = n_out,
                                     .is_gated = true,
                                     .gate = kind});
      expect_near(got, expected, 2e-5F, to_string(type));
    }
}

/// Some lines with random pages, and rows on them.
struct attention_case {
  int head_dim = *rc::gen::element(32, 64, 128, 256);
  int n_kv_heads = *rc::gen::inRange(1, 3);
  int n_heads = n_kv_heads * *rc::gen::inRange(1, 4);
  int window = *rc::gen::element(0, 0, 40, 150);
  int table_width = 20;
  int n_lines = *rc::gen::inRange(1, 4);
  std::vector<std::int32_t> lines, places, pages;
  std::vector<row_tile> tiles;
  std::mt19937 random{*rc::gen::arbitrary<unsigned>()};

  attention_case() {
    for (int i = 0; i < n_lines * table_width; ++i)
      pages.push_back(i);
    std::ranges::shuffle(pages, random);
    for (int line = 0; line < n_lines; ++line) {
      const int first = *rc::gen::oneOf(rc::gen::inRange(0, 20), rc::gen::inRange(120, 300));
      const int n = *rc::gen::inRange(1, 4);
      tiles.push_back({n_rows(), n});
      for (int i = 0; i < n; ++i) {
        lines.push_back(line);
        places.push_back(first + i);
      }
    }
  }
  int n_rows() const { return static_cast<int>(lines.size()); }
  int page_halves() const { return n_kv_heads * page_tokens * head_dim; } ///< of keys, or values
  int kv_halves() const { return n_lines * table_width * page_halves(); }
  std::size_t at(int line, int place, int kv_head) const {
    const auto page =
        static_cast<std::size_t>(pages[static_cast<std::size_t>(line * table_width + place / page_tokens)]);
    return ((page * static_cast<std::size_t>(n_kv_heads) + static_cast<std::size_t>(kv_head)) * page_tokens +
            static_cast<std::size_t>(place % page_tokens)) *
           static_cast<std::size_t>(head_dim);
  }
};

std::vector<std::uint16_t> random_halves(int n, std::mt19937& random) {
  std::vector<std::uint16_t> halves;
  for (const float value : random_floats(n, random))
    halves.push_back(float_to_half(value));
  return halves;
}

/// The plain definition, in double precision.
std::vector<double> softmax_attention(const attention_case& one, int row, int head, const float* q,
                                      float scale, const std::vector<std::uint16_t>& keys,
                                      const std::vector<std::uint16_t>& values) {
  const int end = one.places[static_cast<std::size_t>(row)] + 1;
  const int begin = one.window > 0 ? std::max(0, end - one.window) : 0;
  const int line = one.lines[static_cast<std::size_t>(row)];
  const int kv_head = head / (one.n_heads / one.n_kv_heads);
  std::vector<double> out(static_cast<std::size_t>(one.head_dim));
  double mass = 0;
  for (int place = begin; place < end; ++place) {
    const auto at = one.at(line, place, kv_head);
    double score = 0;
    for (std::size_t d = 0; d < out.size(); ++d)
      score += static_cast<double>(q[d]) * half_to_float(keys[at + d]);
    const double weight = std::exp(score * scale);
    mass += weight;
    for (std::size_t d = 0; d < out.size(); ++d)
      out[d] += weight * half_to_float(values[at + d]);
  }
  for (auto& value : out)
    value /= mass;
  return out;
}

RC_GTEST_PROP(HostBackend, AttentionIsTheSoftmaxOverARowsLineUpToItself, ()) {
  attention_case one;
  const auto keys = random_halves(one.kv_halves(), one.random);
  auto values = random_halves(one.kv_halves(), one.random);
  auto own_keys = keys;
  const int width = (one.n_heads + 2 * one.n_kv_heads) * one.head_dim;
  const auto qkv = random_floats(one.n_rows() * width, one.random);
  const float scale = 0.2F;
  const int n_parts = 3;
  std::vector<float> workspace(
      static_cast<std::size_t>(one.n_rows() * one.n_heads * n_parts * (one.head_dim + 2)));
  std::vector<float> out(static_cast<std::size_t>(one.n_rows() * one.n_heads * one.head_dim));
  make_host_backend()->attend(
      {qkv.data(),
       one.n_heads,
       scale,
       one.window,
       {one.lines.data(), one.places.data(), one.pages.data(), one.table_width, one.n_rows()},
       one.tiles.data(),
       static_cast<int>(one.tiles.size()),
       n_parts,
       {own_keys.data(), values.data(), one.page_halves(), one.n_kv_heads, one.head_dim},
       workspace.data(),
       {out.data(), {}}});
  for (int row = 0; row < one.n_rows(); ++row)
    for (int head = 0; head < one.n_heads; ++head) {
      const auto expected =
          softmax_attention(one, row, head, qkv.data() + std::ptrdiff_t{row} * width + head * one.head_dim,
                            scale, keys, values);
      for (int d = 0; d < one.head_dim; ++d)
        RC_ASSERT(std::abs(out[static_cast<std::size_t>((row * one.n_heads + head) * one.head_dim + d)] -
                           expected[static_cast<std::size_t>(d)]) < 1e-4);
    }
}

RC_GTEST_PROP(HostBackend, TokensStandAsTheGreedyPolicyDecides, ()) {
  verification_tree draft;
  const int n_rows = *rc::gen::inRange(1, 12);
  const auto any_token = rc::gen::inRange<std::int32_t>(0, 3);
  std::vector<std::int32_t> tokens{*any_token};
  std::vector<std::int32_t> parents{-1};
  std::vector<std::int32_t> choices{*any_token};
  for (int row = 1; row < n_rows; ++row) {
    tokens.push_back(*any_token);
    parents.push_back(*rc::gen::inRange(std::max(0, row - 3), row));
    choices.push_back(*any_token);
    draft.nodes.push_back({tokens.back(), parents.back()});
  }
  const auto expected = greedy_match{}.decide(
      draft, [&](int row) { return point_mass(choices[static_cast<std::size_t>(row)]); },
      uniform_coins{[](const coin&) { return 0.5; }});
  const std::int32_t first_rows[] = {0, n_rows};
  std::vector<std::int32_t> emitted(static_cast<std::size_t>(n_rows));
  std::int32_t n_emitted = 0;
  std::int32_t last_row = 0;
  make_host_backend()->accept({first_rows, tokens.data(), parents.data(), choices.data(), 1, n_rows,
                               emitted.data(), &n_emitted, &last_row});
  emitted.resize(static_cast<std::size_t>(n_emitted));
  RC_ASSERT(emitted == expected.tokens);
  RC_ASSERT(last_row == expected.rows.back());
}

/// Whether an inverse CDF of `law` may give `token`, up to what shares are rounded by.
bool may_be_drawn(const distribution& law, token_id token, double uniform) {
  const auto at = std::ranges::find(law.tokens, token) - law.tokens.begin();
  if (at == std::ssize(law.tokens))
    return false;
  const auto to = law.probabilities.begin() + at;
  const double before = std::accumulate(law.probabilities.begin(), to, 0.0);
  return uniform > before - 1e-9 && uniform < before + *to + 1e-9;
}

RC_GTEST_PROP(HostBackend, TokensAreDrawnByTheLawOfTheSampler, ()) {
  const int n = *rc::gen::element(1, 7, 100, 1500);
  std::mt19937 random{*rc::gen::arbitrary<unsigned>()};
  auto logits = random_floats(n, random);
  const float spread = *rc::gen::element(0.0F, 1.0F, 5.0F, 30.0F);
  const bool has_ties = *rc::gen::arbitrary<bool>();
  for (auto& logit : logits)
    logit = has_ties ? std::round(logit * spread) : logit * spread;
  if (n > 7) {
    logits[3] = std::numeric_limits<float>::quiet_NaN();
    logits[5] = -std::numeric_limits<float>::infinity();
  }
  std::uniform_real_distribution<float> any_part; // whatever rounds to a bound is not in question
  sampling_params params;
  params.temperature = *rc::gen::element(0.05F, 0.8F, 1.0F, 3.0F);
  params.top_k = *rc::gen::oneOf(rc::gen::just(0), rc::gen::inRange(1, n + 2));
  params.top_p = *rc::gen::element(1.0F, 1.0F, any_part(random), any_part(random), 0.0F);
  params.min_p = *rc::gen::element(0.0F, 0.2F * any_part(random), 1.0F);
  auto scratch = logits;
  const auto law = next_token_distribution(scratch, params, nullptr, {});
  for (int round = 0; round < 20; ++round) {
    const double uniform = counter_uniform(random(), 0, rng_purpose::sample);
    const token_draw draw{uniform, params.temperature, params.top_k, params.top_p, params.min_p};
    std::int32_t choice = argmax(logits);
    make_host_backend()->draw({logits.data(), 1, n, &draw, &choice});
    RC_ASSERT(may_be_drawn(law, choice, uniform));
  }
}

TEST(HostBackend, WhatIsNotDrawnStaysTheMostLikely) {
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<float> logits{1, 2, 1.9F, -infinity, -infinity, -infinity, 0, infinity, 0};
  const token_draw draws[] = {{.uniform = 0.9, .temperature = 0}, {0.9, 1, 0, 1, 0}, {0.9, 1, 0, 1, 0}};
  std::vector<std::int32_t> choices{1, 0, 1}; // as choose() has found
  make_host_backend()->draw({logits.data(), 3, 3, draws, choices.data()});
  EXPECT_EQ(choices, (std::vector<std::int32_t>{1, 0, 1}));
}

TEST(HostBackend, OfTheMostLikelyTokensTheFirstIsChosen) {
  const std::vector<float> logits{1, 3, 2, 3, -1, -5, -2, -1};
  std::vector<std::uint64_t> workspace(2);
  std::vector<std::int32_t> choices(2);
  make_host_backend()->choose({logits.data(), 2, 4, workspace.data(), choices.data()});
  EXPECT_EQ(choices, (std::vector<std::int32_t>{1, 0}));
}

} // namespace
} // namespace souffleur::cuda
