// Pages that leave one model and enter another.
#include "engine/model/load_model.hpp"
#include "tests/engine/tiny_model.hpp"

#include <gtest/gtest.h>

#include <numeric>

namespace souffleur {
namespace {

using namespace testing;

constexpr int n_tokens = 40;
constexpr int n_copied = n_tokens / page_tokens * page_tokens;

std::shared_ptr<language_model> read(const tiny_gguf& file, kv_type kv, isa level = best_isa()) {
  const auto bytes = file.bytes();
  const auto parsed = gguf_file::parse(bytes);
  EXPECT_TRUE(parsed.ok());
  const auto model = load_model(*parsed, {2, 16, kv, level});
  EXPECT_TRUE(model.ok());
  return *model;
}

std::vector<token_id> some_tokens() {
  std::vector<token_id> tokens(n_tokens);
  for (int i = 0; i < n_tokens; ++i)
    tokens[static_cast<std::size_t>(i)] = (i * 37 + 11) % 96;
  return tokens;
}

/// Logits of the last token.
std::vector<float> run(language_model& model, const std::vector<page_id>& pages, int first) {
  const auto tokens = some_tokens();
  std::vector<float> logits(static_cast<std::size_t>(model.vocabulary_size()));
  const sequence_rows rows{pages, first, std::span{tokens}.subspan(static_cast<std::size_t>(first)), 1};
  model.forward(std::span{&rows, 1}, logits);
  return logits;
}

TEST(PageCopy, AnotherModelGoesOnFromItBitByBit) {
  for (const auto kv : {kv_type::f32, kv_type::f16, kv_type::int8}) {
    for (const auto& file : {tiny_llama(), tiny_qwen3(), tiny_gemma3(20)}) {
      const auto first = read(file, kv);
      const auto second = read(file, kv);
      ASSERT_EQ(first->page_format(), second->page_format());
      ASSERT_EQ(first->page_bytes(), second->page_bytes());
      const std::vector<page_id> pages{3, 1, 7};
      const std::vector<page_id> other_pages{0, 15, 4};
      const auto expected = run(*first, pages, 0);
      std::vector<std::byte> bytes(first->page_bytes());
      for (std::size_t i = 0; i < n_copied / page_tokens; ++i) {
        first->save_page(pages[i], bytes);
        second->load_page(other_pages[i], bytes);
      }
      EXPECT_EQ(run(*second, other_pages, n_copied), expected) << to_string(kv);
    }
  }
}

TEST(PageCopy, TheFormatTellsApartWhatComputesOtherBits) {
  const auto format = [](const tiny_gguf& file, kv_type kv = kv_type::f16, isa level = best_isa()) {
    return read(file, kv, level)->page_format();
  };
  const auto plain = format(tiny_llama());
  EXPECT_NE(format(tiny_llama(), kv_type::f32), plain);
  EXPECT_NE(format(tiny_llama().number("llama.rope.freq_base", 2e6F)), plain);
  tiny_sizes longer;
  longer.n_context = 128;
  EXPECT_NE(format(tiny_llama("llama", longer)), plain) << "any number of the metadata";
  EXPECT_NE(format(tiny_qwen3()), plain);
  if (best_isa() != isa::portable) {
    EXPECT_NE(format(tiny_llama(), kv_type::f16, isa::portable), plain);
  }
}

} // namespace
} // namespace souffleur
