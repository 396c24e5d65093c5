#include "engine/gguf.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cstring>

namespace souffleur {
namespace {

/// Writes the smallest file that has one of everything.
class file_writer {
public:
  template <class T>
  file_writer& put(T value) {
    const auto* p = reinterpret_cast<const std::byte*>(&value);
    bytes.insert(bytes.end(), p, p + sizeof(T));
    return *this;
  }
  file_writer& text(const std::string& s) {
    put<std::uint64_t>(s.size());
    const auto* p = reinterpret_cast<const std::byte*>(s.data());
    bytes.insert(bytes.end(), p, p + s.size());
    return *this;
  }
  std::vector<std::byte> bytes;
};

std::vector<std::byte> small_file() {
  file_writer out;
  out.put<std::uint32_t>(0x46554747).put<std::uint32_t>(3).put<std::uint64_t>(1).put<std::uint64_t>(3);
  out.text("general.architecture").put<std::uint32_t>(8).text("llama");
  out.text("llama.block_count").put<std::uint32_t>(4).put<std::uint32_t>(7);
  out.text("tokens").put<std::uint32_t>(9).put<std::uint32_t>(8).put<std::uint64_t>(2).text("a").text("bc");
  out.text("w").put<std::uint32_t>(2).put<std::uint64_t>(4).put<std::uint64_t>(2).put<std::uint32_t>(0);
  out.put<std::uint64_t>(0);
  while (out.bytes.size() % 32 != 0)
    out.put<std::uint8_t>(0);
  for (int i = 0; i < 8; ++i)
    out.put<float>(static_cast<float>(i));
  return out.bytes;
}

TEST(Gguf, ReadsMetadataAndTensors) {
  const auto bytes = small_file();
  const auto file = gguf_file::parse(bytes);
  ASSERT_TRUE(file.ok()) << file.error();
  EXPECT_EQ(*(*file)->find_string("general.architecture"), "llama");
  EXPECT_EQ(*(*file)->integer("llama.block_count"), 7);
  EXPECT_EQ((*file)->find_strings("tokens")->at(1), "bc");
  const auto* w = (*file)->find_tensor("w");
  ASSERT_NE(w, nullptr);
  EXPECT_EQ(w->n_values(), 8);
  EXPECT_EQ(w->data.size(), 32U);
}

TEST(Gguf, EveryTruncationIsAnErrorThatNamesAField) {
  const auto bytes = small_file();
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    const auto file = gguf_file::parse(std::span{bytes}.first(n));
    ASSERT_FALSE(file.ok()) << n;
    EXPECT_FALSE(file.error().empty());
  }
}

TEST(Gguf, NamesWhatIsWrong) {
  auto bytes = small_file();
  bytes[0] = std::byte{'X'};
  EXPECT_NE(gguf_file::parse(bytes).error().find("magic"), std::string::npos);
  bytes = small_file();
  bytes[4] = std::byte{9};
  EXPECT_NE(gguf_file::parse(bytes).error().find("version"), std::string::npos);
  bytes = small_file();
  std::memset(bytes.data() + 8, 0xFF, 8);
  EXPECT_NE(gguf_file::parse(bytes).error().find("tensor_count"), std::string::npos);
}

RC_GTEST_PROP(Gguf, FlippedBytesNeverCrashTheReader, ()) {
  auto bytes = small_file();
  const auto flips = *rc::gen::container<std::vector<std::pair<std::size_t, std::uint8_t>>>(
      rc::gen::pair(rc::gen::inRange<std::size_t>(0, bytes.size()), rc::gen::arbitrary<std::uint8_t>()));
  for (const auto& [at, value] : flips)
    bytes[at] = static_cast<std::byte>(value);
  const auto file = gguf_file::parse(bytes);
  if (!file.ok()) {
    RC_ASSERT(!file.error().empty());
    return;
  }
  for (const auto& tensor : (*file)->tensors())
    RC_ASSERT(tensor.data.data() + tensor.data.size() <= bytes.data() + bytes.size());
}

} // namespace
} // namespace souffleur
