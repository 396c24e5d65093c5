#include "engine/embedding/safetensors.hpp"

#include "tests/engine/embedding/tiny_safetensors.hpp"
#include "tests/engine/scratch_folder.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <fstream>
#include <regex>

namespace souffleur {
namespace {

using namespace testing;

constexpr element_type all_types[] = {
    element_type::BOOL, element_type::U8,   element_type::I8,  element_type::U16, element_type::I16,
    element_type::F16,  element_type::BF16, element_type::U32, element_type::I32, element_type::F32,
    element_type::U64,  element_type::I64,  element_type::F64};

struct wanted_tensor {
  element_type type;
  std::vector<std::int64_t> shape;
  std::vector<std::byte> data;
};

std::vector<wanted_tensor> any_tensors() {
  std::vector<wanted_tensor> tensors;
  for (int n = *rc::gen::element(0, 1, 2, 3, 4); n > 0; --n) {
    auto& tensor = tensors.emplace_back();
    tensor.type = *rc::gen::elementOf(std::vector<element_type>(std::begin(all_types), std::end(all_types)));
    auto n_bytes = bytes_of(tensor.type);
    for (int n_dimensions = *rc::gen::element(0, 1, 2, 3); n_dimensions > 0; --n_dimensions) {
      tensor.shape.push_back(*rc::gen::element(1, 2, 3, 4, 1, 2, 3, 4, 0));
      n_bytes *= static_cast<std::size_t>(tensor.shape.back());
    }
    for (const auto byte :
         *rc::gen::container<std::vector<std::uint8_t>>(n_bytes, rc::gen::arbitrary<std::uint8_t>()))
      tensor.data.push_back(std::byte{byte});
  }
  return tensors;
}

tiny_safetensors file_of(const std::vector<wanted_tensor>& tensors) {
  tiny_safetensors file;
  for (std::size_t i = 0; i < tensors.size(); ++i)
    file.tensor("t" + std::to_string(i), tensors[i].type, tensors[i].shape, tensors[i].data);
  return file;
}

/// What a file promises its readers, whoever wrote it: tensors of the size that they claim, one after the
/// other.
void check(const safetensors_file& file, std::span<const std::byte> bytes, std::size_t n_data_bytes) {
  const auto* end = bytes.data() + bytes.size() - n_data_bytes;
  for (const auto& tensor : file.tensors()) {
    auto product = bytes_of(tensor.type);
    for (const auto size : tensor.shape) {
      RC_ASSERT(size >= 0);
      RC_ASSERT(!__builtin_mul_overflow(product, static_cast<std::size_t>(size), &product));
    }
    RC_ASSERT(tensor.data.size() == product);
    RC_ASSERT(tensor.data.data() == end);
    end += product;
  }
  RC_ASSERT(end == bytes.data() + bytes.size());
}

std::string complaint_of(const std::string& header, std::size_t n_data_bytes) {
  const auto file = safetensors_of(header, std::vector<std::byte>(n_data_bytes));
  const auto parsed = safetensors_file::parse(file);
  return parsed ? "" : parsed.error();
}

RC_GTEST_PROP(Safetensors, what_was_written_is_read, ()) {
  const auto tensors = any_tensors();
  const auto bytes = file_of(tensors).bytes();
  const auto file = safetensors_file::parse(bytes);
  RC_ASSERT(file.ok());
  RC_ASSERT((*file)->tensors().size() == tensors.size());
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const auto* found = (*file)->find_tensor("t" + std::to_string(i));
    RC_ASSERT(found != nullptr);
    RC_ASSERT(found->type == tensors[i].type);
    RC_ASSERT(found->shape == tensors[i].shape);
    RC_ASSERT(
        std::equal(found->data.begin(), found->data.end(), tensors[i].data.begin(), tensors[i].data.end()));
  }
  RC_ASSERT((*file)->find_tensor("t") == nullptr);
}

/// Another number in the place of one of the header's; the header as it is if that has none.
std::string with_another_number(std::string header) {
  constexpr auto digits = "0123456789";
  std::vector<std::size_t> numbers; // where they begin
  for (auto at = header.find_first_of(digits); at != std::string::npos;
       at = header.find_first_of(digits, header.find_first_not_of(digits, at)))
    numbers.push_back(at);
  if (numbers.empty())
    return header;
  const auto at = *rc::gen::elementOf(numbers);
  const auto n = std::min(header.find_first_not_of(digits, at), header.size()) - at;
  const auto old = std::stoull(header.substr(at, std::min<std::size_t>(n, 18)));
  return header.replace(at, n,
                        *rc::gen::element<std::string>("0", "1", std::to_string(old + 1),
                                                       std::to_string(old + 4), std::to_string(old * 2),
                                                       "4611686018427387904"));
}

/// One tensor's data a byte further on.
std::string with_shifted_offsets(const std::string& header) {
  const std::regex offsets{R"(\[(\d+),(\d+)\]\})"};
  std::vector<std::smatch> found{std::sregex_iterator{header.begin(), header.end(), offsets}, {}};
  if (found.empty())
    return header;
  const auto& one = found[*rc::gen::inRange<std::size_t>(0, found.size())];
  const auto further = [&](std::size_t i) {
    return std::to_string(std::stoull(one.str(i).substr(0, 18)) + 1);
  };
  auto damaged = header;
  return damaged.replace(static_cast<std::size_t>(one.position()), static_cast<std::size_t>(one.length()),
                         "[" + further(1) + "," + further(2) + "]}");
}

std::string with_another_part(std::string header) {
  const auto at = *rc::gen::inRange<std::size_t>(0, header.size() + 1);
  const auto n_removed = *rc::gen::inRange<std::size_t>(0, 4);
  return header.replace(at, n_removed,
                        *rc::gen::element<std::string>("", "9", "18446744073709551615", "-1", "4.5", "{", "}",
                                                       "[]", "\"", ",", "F64", "null", "\xFF",
                                                       std::string(1, '\0')));
}

RC_GTEST_PROP(Safetensors, a_damaged_header_is_an_error_or_still_a_sound_file, ()) {
  const auto file = file_of(any_tensors());
  auto header = file.header();
  for (int n = *rc::gen::element(1, 1, 2, 3); n > 0; --n)
    switch (*rc::gen::element(0, 1, 1, 2)) {
    case 0:
      header = with_another_part(header);
      break;
    case 1:
      header = with_another_number(header);
      break;
    default:
      header = with_shifted_offsets(header);
    }
  const auto bytes = safetensors_of(header, file.data());
  const auto parsed = safetensors_file::parse(bytes);
  if (parsed)
    check(**parsed, bytes, file.data().size());
  else
    RC_ASSERT(!parsed.error().empty());
}

RC_GTEST_PROP(Safetensors, damaged_bytes_never_crash_the_reader, ()) {
  auto bytes = file_of(any_tensors()).bytes();
  const auto damages = *rc::gen::container<std::vector<std::pair<std::size_t, std::uint8_t>>>(
      rc::gen::pair(rc::gen::inRange<std::size_t>(0, bytes.size()), rc::gen::arbitrary<std::uint8_t>()));
  for (const auto& [at, value] : damages)
    bytes[at] = static_cast<std::byte>(value);
  const auto n_left = *rc::gen::inRange<std::size_t>(0, bytes.size() + 1);
  const auto parsed = safetensors_file::parse(std::span{bytes}.first(n_left));
  RC_ASSERT((parsed.ok() || !parsed.error().empty()));
}

TEST(Safetensors, every_truncation_is_an_error) {
  const auto bytes = tiny_safetensors{}.floats("w", {2, 2}, {1, 2, 3, 4}).bytes();
  ASSERT_TRUE(safetensors_file::parse(bytes).ok());
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    const auto file = safetensors_file::parse(std::span{bytes}.first(n));
    ASSERT_FALSE(file.ok()) << n;
    EXPECT_FALSE(file.error().empty());
  }
}

TEST(Safetensors, an_error_names_what_is_wrong) {
  for (const auto& [header, n_data_bytes, word] :
       std::vector<std::tuple<std::string, std::size_t, std::string>>{
           {"", 0, "JSON"},
           {"[]", 0, "object"},
           {R"({"w": 3})", 0, "\"w\""},
           {R"({"w": {"shape": [], "data_offsets": [0, 4]}})", 4, "dtype"},
           {R"({"w": {"dtype": "F8_E4M3", "shape": [], "data_offsets": [0, 1]}})", 1, "F8_E4M3"},
           {R"({"w": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}})", 4, "shape"},
           {R"({"w": {"dtype": "F32", "shape": [4294967296, 4294967296], "data_offsets": [0, 4]}})", 4,
            "shape"},
           {R"({"w": {"dtype": "F32", "shape": [4611686018427387904], "data_offsets": [0, 0]}})", 0,
            "cannot hold"},
           {R"({"w": {"dtype": "F32", "shape": [0, 18446744073709551615], "data_offsets": [0, 0]}})", 0,
            "cannot hold"},
           {R"({"w": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}})", 4, "ascending"},
           {R"({"w": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}})", 4, "truncated"},
           {R"({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}})", 8, "8 bytes"},
           {R"({"w": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}})", 8, "gap"},
           {R"({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}})", 8, "no tensor's"},
           {R"({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
                "a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}})",
            8, "gap"}}) {
    const auto complaint = complaint_of(header, n_data_bytes);
    EXPECT_NE(complaint.find(word), std::string::npos) << header << ": " << complaint;
  }
}

TEST(Safetensors, a_file_is_mapped_and_its_errors_name_it) {
  const scratch_folder folder;
  const auto path = folder.path() / "w.safetensors";
  const auto write = [&](std::span<const std::byte> bytes) {
    std::ofstream{path, std::ios::binary}.write(reinterpret_cast<const char*>(bytes.data()),
                                                static_cast<std::streamsize>(bytes.size()));
  };
  write(tiny_safetensors{}.floats("w", {2}, {1, 2}).bytes());
  const auto file = safetensors_file::open(path);
  ASSERT_TRUE(file.ok()) << file.error();
  const auto& w = (*file)->tensors().at(0);
  (*file)->release_pages(w);
  float second = 0;
  std::memcpy(&second, w.data.data() + 4, 4);
  EXPECT_EQ(second, 2);
  for (const auto& wrong : {folder.path() / "missing", folder.path()})
    EXPECT_NE(safetensors_file::open(wrong).error().find(wrong.string()), std::string::npos);
  write({});
  EXPECT_NE(safetensors_file::open(path).error().find("w.safetensors: header length"), std::string::npos);
}

} // namespace
} // namespace souffleur
