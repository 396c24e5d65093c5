#include "engine/cuda/device_matrix.hpp"

#include "engine/cuda/backend.hpp"
#include "tests/engine/random_blocks.hpp"

#include <gtest/gtest.h>

#include <numeric>

namespace souffleur::cuda {
namespace {

using testing::random_blocks;

std::vector<float> dequantised(tensor_type type, const std::vector<std::byte>& bytes, int n_values) {
  std::vector<float> values(static_cast<std::size_t>(n_values));
  dequantize(type, bytes, values);
  return values;
}

/// All rows, as embeddings of the tokens 0, 1, ...
std::vector<float> unpacked(const device_matrix& matrix) {
  std::vector<std::int32_t> rows(static_cast<std::size_t>(matrix.n_out));
  std::iota(rows.begin(), rows.end(), 0);
  std::vector<float> values(rows.size() * static_cast<std::size_t>(matrix.n_in));
  make_host_backend()->embed(matrix, rows.data(), matrix.n_out, 1, values.data());
  return values;
}

TEST(DeviceMatrix, KeepsEveryWeightExactly) {
  std::mt19937 random{1};
  const int n_out = 7;
  const int n_in = 512;
  for (const auto type : device_types) {
    const auto source = random_blocks(type, n_out * n_in, random);
    std::vector<std::uint8_t> packed(device_bytes(type, n_out, n_in));
    pack_rows(matrix_at(nullptr, type, n_out, n_in), source, n_out, {}, packed.data());
    EXPECT_EQ(unpacked(matrix_at(packed.data(), type, n_out, n_in)), dequantised(type, source, n_out * n_in))
        << to_string(type);
  }
}

TEST(DeviceMatrix, HasTheRowsOfTwoTensorsInTurn) {
  std::mt19937 random{2};
  const int n_out = 300; // more than one thread's
  const int n_in = 256;
  for (const auto type : device_types) {
    std::vector<std::uint8_t> packed(device_bytes(type, 2 * n_out, n_in));
    const auto shape = matrix_at(packed.data(), type, 2 * n_out, n_in);
    const auto even = random_blocks(type, n_out * n_in, random);
    const auto odd = random_blocks(type, n_out * n_in, random);
    pack_rows(shape, even, n_out, {0, 2}, packed.data());
    pack_rows(shape, odd, n_out, {1, 2}, packed.data());
    const auto rows = unpacked(shape);
    const auto expected_even = dequantised(type, even, n_out * n_in);
    const auto expected_odd = dequantised(type, odd, n_out * n_in);
    for (int row = 0; row < n_out; ++row) {
      const auto of_pair = rows.begin() + std::ptrdiff_t{2} * row * n_in;
      ASSERT_TRUE(std::equal(of_pair, of_pair + n_in, expected_even.begin() + std::ptrdiff_t{row} * n_in));
      ASSERT_TRUE(
          std::equal(of_pair + n_in, of_pair + 2 * n_in, expected_odd.begin() + std::ptrdiff_t{row} * n_in));
    }
  }
}

TEST(DeviceMatrix, TakesWhatTheFileTakesAndOneScaleByteMoreAtMost) {
  for (const auto type : device_types) {
    const auto shape = block_shape_of(type);
    const double per_value = static_cast<double>(shape.n_bytes) / shape.n_values;
    EXPECT_LE(static_cast<double>(device_bytes(type, 64, 1024)), 64 * 1024 * (per_value + 1.0 / 32 + 1e-3));
  }
}

} // namespace
} // namespace souffleur::cuda
