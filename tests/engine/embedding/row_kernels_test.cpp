// The kernels over single rows that only encoders and their vectors use.
#include "engine/kernels/kernel_table.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>

namespace souffleur {
namespace {

std::vector<float> any_row(float most) {
  const auto n = *rc::gen::inRange(1, 100);
  std::vector<float> row;
  for (const auto value :
       *rc::gen::container<std::vector<int>>(static_cast<std::size_t>(n), rc::gen::inRange(-10000, 10001)))
    row.push_back(static_cast<float>(value) / 10000 * most);
  return row;
}

bool gives_the_best_bits(isa level) {
  return level == best_isa() || (level == isa::avx2 && best_isa() == isa::avx512);
}

RC_GTEST_PROP(RowKernels, gelu_is_x_times_the_normal_distribution_of_x, ()) {
  const auto x = any_row(12);
  const auto n = static_cast<int>(x.size());
  std::vector<float> best(x.size());
  kernels_of(best_isa()).gelu(x.data(), best.data(), n);
  for (const auto level : available_isas()) {
    std::vector<float> y(x.size());
    kernels_of(level).gelu(x.data(), y.data(), n);
    for (std::size_t i = 0; i < x.size(); ++i)
      RC_ASSERT(std::abs(y[i] - x[i] * 0.5 * std::erfc(-x[i] / std::sqrt(2.0))) < 1e-6);
    RC_ASSERT(!gives_the_best_bits(level) || y == best);
  }
}

RC_GTEST_PROP(RowKernels, layer_norm_has_the_weights_as_deviation_and_the_biases_as_mean, ()) {
  auto x = any_row(100);
  const auto n = static_cast<int>(x.size());
  auto weight = any_row(2);
  auto bias = any_row(2);
  weight.resize(x.size(), 1);
  bias.resize(x.size(), 0);
  double mean = 0;
  double variance = 0;
  for (const auto value : x)
    mean += static_cast<double>(value) / n;
  for (const auto value : x)
    variance += (value - mean) * (value - mean) / n;
  std::vector<float> best(x.size());
  constexpr float epsilon = 1e-2F;
  kernels_of(best_isa()).layer_norm(x.data(), weight.data(), bias.data(), epsilon, best.data(), n);
  for (const auto level : available_isas()) {
    auto y = x;
    kernels_of(level).layer_norm(y.data(), weight.data(), bias.data(), epsilon, y.data(), n);
    for (std::size_t i = 0; i < x.size(); ++i)
      RC_ASSERT(std::abs(y[i] - ((x[i] - mean) / std::sqrt(variance + epsilon) * weight[i] + bias[i])) <
                1e-3);
    RC_ASSERT(!gives_the_best_bits(level) || y == best);
  }
}

// Planted: the last numbers, which fill no vector, left out.
RC_GTEST_PROP(RowKernels, dot_is_the_sum_of_products, ()) {
  const auto x = any_row(1);
  auto y = any_row(1);
  y.resize(x.size(), 0.5F);
  const auto n = static_cast<int>(x.size());
  double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i)
    sum += static_cast<double>(x[i]) * y[i];
  const float best = kernels_of(best_isa()).dot(x.data(), y.data(), n);
  for (const auto level : available_isas()) {
    const float product = kernels_of(level).dot(x.data(), y.data(), n);
    RC_ASSERT(std::abs(product - sum) < 1e-4);
    RC_ASSERT(!gives_the_best_bits(level) || product == best);
  }
}

} // namespace
} // namespace souffleur
