#include "engine/dequantize.hpp"

#include <boost/json.hpp>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <map>
#include <sstream>

namespace souffleur {
namespace {

std::vector<std::byte> from_hex(std::string_view hex) {
  std::vector<std::byte> bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
    bytes.push_back(static_cast<std::byte>(std::stoi(std::string{hex.substr(i, 2)}, nullptr, 16)));
  return bytes;
}

const std::map<std::string, tensor_type> types = {
    {"F32", tensor_type::f32},   {"F16", tensor_type::f16},   {"BF16", tensor_type::bf16},
    {"Q4_0", tensor_type::q4_0}, {"Q4_1", tensor_type::q4_1}, {"Q5_0", tensor_type::q5_0},
    {"Q5_1", tensor_type::q5_1}, {"Q8_0", tensor_type::q8_0}, {"Q2_K", tensor_type::q2_k},
    {"Q3_K", tensor_type::q3_k}, {"Q4_K", tensor_type::q4_k}, {"Q5_K", tensor_type::q5_k},
    {"Q6_K", tensor_type::q6_k}};

TEST(Dequantize, GivesTheReferenceValuesOfEveryFormat) {
  std::ifstream in{SOUFFLEUR_GOLDEN "/dequant.json"};
  ASSERT_TRUE(in);
  std::stringstream text;
  text << in.rdbuf();
  const auto golden = boost::json::parse(text.str()).as_object();
  int n_types = 0;
  for (const auto& [name, entry] : golden) {
    const auto type = types.find(std::string{name});
    if (type == types.end() || !entry.is_object())
      continue;
    ++n_types;
    for (const auto& block : entry.as_object().at("blocks").as_array()) {
      const auto bytes = from_hex(block.at("bytes_hex").as_string());
      const auto& values = block.at("values").as_array();
      std::vector<float> out(values.size());
      dequantize(type->second, bytes, out);
      for (std::size_t i = 0; i < out.size(); ++i) {
        if (!values[i].is_number())
          continue;
        const double expected = values[i].to_number<double>();
        ASSERT_NEAR(out[i], expected, std::fabs(expected) * 4e-7 + 1e-30) << name << " value " << i;
      }
    }
  }
  EXPECT_GE(n_types, 11);
}

TEST(Dequantize, HalfPrecisionSurvivesTheRoundTrip) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const float value = half_to_float(half);
    if (std::isnan(value))
      continue;
    ASSERT_EQ(float_to_half(value), half);
  }
}

} // namespace
} // namespace souffleur
