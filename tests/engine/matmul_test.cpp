#include "engine/kernels/matmul.hpp"

#include "engine/dequantize.hpp"
#include "tests/engine/random_blocks.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <random>

namespace souffleur {
namespace {

using testing::random_blocks;
using testing::random_floats;

const std::vector<tensor_type> all_types = {
    tensor_type::f32,  tensor_type::f16,  tensor_type::bf16, tensor_type::q4_0, tensor_type::q4_1,
    tensor_type::q5_0, tensor_type::q5_1, tensor_type::q8_0, tensor_type::q2_k, tensor_type::q3_k,
    tensor_type::q4_k, tensor_type::q5_k, tensor_type::q6_k};

std::vector<float> dequantised(tensor_type type, const std::vector<std::byte>& bytes, int n_values) {
  std::vector<float> values(static_cast<std::size_t>(n_values));
  dequantize(type, bytes, values);
  return values;
}

/// `expected` is (packed.n_out(), packed.n_in()).
void expect_rows(const packed_matrix& packed, const std::vector<float>& expected) {
  const int n_in = packed.n_in();
  std::vector<float> row(static_cast<std::size_t>(n_in));
  for (int o = 0; o < packed.n_out(); ++o) {
    unpack_row(packed, o, row.data());
    for (int k = 0; k < n_in; ++k)
      ASSERT_EQ(row[static_cast<std::size_t>(k)], expected[static_cast<std::size_t>(o * n_in + k)])
          << to_string(packed.type()) << " row " << o << " column " << k;
  }
}

TEST(Matmul, KeepsEveryWeightExactly) {
  std::mt19937 random{1};
  for (const auto type : all_types) {
    const int n_out = 11;
    const int n_in = 512;
    const auto bytes = random_blocks(type, n_out * n_in, random);
    const auto packed = packed_matrix::pack(type, bytes, n_out, n_in);
    ASSERT_EQ(packed.n_out(), n_out);
    expect_rows(packed, dequantised(type, bytes, n_out * n_in));
  }
}

TEST(Matmul, KeepsTheWeightsOfGateAndUpSideBySideExactly) {
  std::mt19937 random{3};
  for (const auto type : all_types) {
    const int n_out = 21;
    const int n_in = 512;
    const auto gate = random_blocks(type, n_out * n_in, random);
    const auto up = random_blocks(type, n_out * n_in, random);
    auto both = gate;
    both.insert(both.end(), up.begin(), up.end());
    const auto packed = packed_matrix::pack_gated(type, gate, up, n_out, n_in);
    ASSERT_EQ(packed.n_out(), 2 * n_out);
    expect_rows(packed, dequantised(type, both, 2 * n_out * n_in));
  }
}

/// y (n_rows, n_out) of one matrix.
std::vector<float> product(const packed_matrix& w, const std::vector<float>& x, int n_rows, thread_team& team,
                           isa level) {
  std::vector<float> y(static_cast<std::size_t>(n_rows * w.n_out()));
  matmul({&w, 1}, {x.data(), w.n_in(), n_rows}, {y.data(), w.n_out()}, team, level);
  return y;
}

TEST(Matmul, DiffersFromTheExactProductByActivationRoundingOnly) {
  std::mt19937 random{2};
  thread_team team{2};
  for (const auto level : available_isas())
    for (const auto type : all_types) {
      const int n_out = 21;
      const int n_in = 512;
      const int n_rows = 7;
      const auto bytes = random_blocks(type, n_out * n_in, random);
      const auto w = dequantised(type, bytes, n_out * n_in);
      const auto packed = packed_matrix::pack(type, bytes, n_out, n_in);
      const auto x = random_floats(n_rows * n_in, random);
      const auto y = product(packed, x, n_rows, team, level);
      for (int m = 0; m < n_rows; ++m)
        for (int o = 0; o < n_out; ++o) {
          double exact = 0;
          double bound = 1e-4;
          for (int k = 0; k < n_in; ++k) {
            const double weight = w[static_cast<std::size_t>(o * n_in + k)];
            exact += weight * x[static_cast<std::size_t>(m * n_in + k)];
            bound +=
                std::fabs(weight) * 0.02; // half a step of 1/127 of a block's largest value, about 4 sigma
          }
          ASSERT_NEAR(y[static_cast<std::size_t>(m * n_out + o)], exact, bound) << to_string(type);
        }
    }
}

RC_GTEST_PROP(Matmul, ARowsResultDoesNotDependOnItsNeighboursOrThreads, ()) {
  const auto type = *rc::gen::elementOf(all_types);
  const int n_rows = *rc::gen::inRange(1, 40);
  std::mt19937 random{*rc::gen::arbitrary<std::uint32_t>()};
  const int n_out = *rc::gen::inRange(1, 70);
  const int n_in = 256;
  const auto packed = packed_matrix::pack(type, random_blocks(type, n_out * n_in, random), n_out, n_in);
  const auto x = random_floats(n_rows * n_in, random);
  thread_team one{1};
  thread_team many{*rc::gen::inRange(1, 4)};
  for (const auto level : available_isas()) {
    const auto together = product(packed, x, n_rows, many, level);
    for (int m = 0; m < n_rows; ++m) {
      const std::vector<float> row(x.begin() + m * n_in, x.begin() + (m + 1) * n_in);
      const auto alone = product(packed, row, 1, one, level);
      RC_ASSERT(std::memcmp(alone.data(), together.data() + static_cast<std::ptrdiff_t>(m) * n_out,
                            sizeof(float) * alone.size()) == 0);
    }
  }
}

// Fails if one of them adds up in another order, or rounds where the other does not.
RC_GTEST_PROP(Matmul, Avx2AndAvx512GiveTheSameBits, ()) {
  if (available_isas().back() != isa::avx512)
    return;
  const auto type = *rc::gen::elementOf(all_types);
  const int n_rows = *rc::gen::inRange(1, 20);
  std::mt19937 random{*rc::gen::arbitrary<std::uint32_t>()};
  const int n_out = 33;
  const int n_in = 512;
  const auto packed = packed_matrix::pack(type, random_blocks(type, n_out * n_in, random), n_out, n_in);
  const auto x = random_floats(n_rows * n_in, random);
  thread_team team{2};
  RC_ASSERT(product(packed, x, n_rows, team, isa::avx2) == product(packed, x, n_rows, team, isa::avx512));
}

} // namespace
} // namespace souffleur
