// A device's model against the CPU's, and against itself: on the host's reference of the kernels, or with
// SOUFFLEUR_TEST_DEVICE=cuda:0 on a device.
#include "engine/cuda/device_model.hpp"

#include "engine/cuda/cuda_backend.hpp"
#include "engine/cuda/host_draw.hpp"
#include "engine/model/architectures.hpp"
#include "engine/model/load_model.hpp"
#include "engine/sampler.hpp"
#include "tests/engine/tiny_model.hpp"
#include "tests/engine/tree_check.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cstdlib>
#include <numeric>

namespace souffleur::cuda {
namespace {

using namespace testing;

constexpr int vocabulary = tree_check_vocabulary;

std::unique_ptr<backend> device_under_test() {
  const char* name = std::getenv("SOUFFLEUR_TEST_DEVICE");
  if (name == nullptr)
    return make_host_backend();
  auto made = make_cuda_backend({compute_device_named(name)->cuda});
  if (!made)
    throw std::runtime_error{made.error()};
  return std::move(*made);
}

tiny_gguf small_file(int architecture = 0) {
  tiny_sizes sizes;
  sizes.n_layers = 3;
  sizes.n_context = 512;
  return architecture == 0   ? tiny_llama("llama", sizes)
         : architecture == 1 ? tiny_qwen3(sizes)
                             : tiny_gemma3(20, sizes);
}
constexpr int n_architectures = 3;

std::shared_ptr<language_model> load(const tiny_gguf& file, int n_pages = tree_check_pages) {
  const auto bytes = file.bytes();
  const auto parsed = *gguf_file::parse(bytes);
  auto loaded = make_device_model(*parsed, *read_config(*parsed), "tiny", {2, n_pages}, device_under_test());
  if (!loaded)
    throw std::runtime_error{loaded.error()};
  return *loaded;
}

std::vector<token_id> text(int n) {
  std::vector<token_id> tokens;
  for (int i = 0; i < n; ++i)
    tokens.push_back((7 * i + i * i) % vocabulary);
  return tokens;
}

std::vector<page_id> pages_from(page_id first, int n) {
  std::vector<page_id> pages(static_cast<std::size_t>(n));
  std::iota(pages.begin(), pages.end(), first);
  return pages;
}

/// Logits of the last `n_logit_rows` of `tokens`, which begin at `first`.
floats logits_of(language_model& model, std::span<const page_id> pages, std::span<const token_id> tokens,
                 int first, int n_logit_rows, int n_dropped = 0) {
  floats logits(static_cast<std::size_t>(n_logit_rows * vocabulary));
  const sequence_rows rows{pages, first, tokens, n_logit_rows, n_dropped};
  model.forward({&rows, 1}, logits);
  return logits;
}

RC_GTEST_PROP(DeviceModel, ARowOfATreeGivesTheBitsOfItsChainAndAPathThatIsKeptHasThem, ()) {
  static const std::shared_ptr<language_model> models[] = {load(small_file(0)), load(small_file(1)),
                                                           load(small_file(2))};
  const bool is_slow = std::getenv("SOUFFLEUR_TEST_DEVICE") == nullptr; // a quarter of a second each
  if (is_slow && *rc::gen::inRange(0, 8) != 0)
    return;
  check_any_tree(*models[*rc::gen::inRange(0, n_architectures)]);
}

TEST(DeviceModel, GivesTheLogitsOfTheCpuForMoreRowsThanItTakesAtOnce) {
  for (int architecture = 0; architecture < n_architectures; ++architecture) {
    const auto bytes = small_file(architecture).bytes();
    const auto cpu = *load_model(*gguf_file::parse(bytes), {2, 32, kv_type::f16});
    const auto device = load(small_file(architecture));
    const auto tokens = text(architecture == 0 ? 400 : 150); // 256 and the rest
    const auto n = static_cast<int>(tokens.size());
    const auto pages = pages_from(3, pages_for(n));
    const auto expected = logits_of(*cpu, pages, tokens, 0, n);
    const auto got = logits_of(*device, pages, tokens, 0, n);
    for (std::size_t i = 0; i < got.size(); ++i)
      ASSERT_NEAR(got[i], expected[i], 3e-3) << "architecture " << architecture << ", row " << i / vocabulary;
  }
}

TEST(DeviceModel, ARepeatedStepIsReplayedWithItsOwnTokensAndPages) {
  const auto model = load(small_file());
  const auto tokens = text(40);
  const auto whole = logits_of(*model, pages_from(0, 3), tokens, 0, 40);
  for (const int first : {9, 30})
    for (int i = 0; i < 40; ++i) { // each shape comes many times, in other pages
      const auto row = logits_of(*model, pages_from(first, 3),
                                 std::span{tokens}.subspan(static_cast<std::size_t>(i), 1), i, 1);
      ASSERT_TRUE(std::ranges::equal(
          row, std::span{whole}.subspan(static_cast<std::size_t>(i * vocabulary), vocabulary)))
          << "token " << i;
    }
}

TEST(DeviceModel, TellsOneSequenceAfterTheOtherWhatForwardGivesAlsoAfterARest) {
  const auto model = load(small_file());
  const auto tokens = text(40);
  const auto first = pages_from(0, 3);
  const auto second = pages_from(3, 3);
  const sequence_rows batch[] = {{first, 0, tokens, 2},
                                 {second, 0, std::span{tokens}.first(7), 0},
                                 {second, 7, std::span{tokens}.subspan(7, 3), 3}};
  floats expected(5 * vocabulary);
  model->forward(batch, expected);
  for (int round = 0; round < 2; ++round) {
    floats told;
    for_each_output(*model, batch, [&](std::size_t, const row_outputs& outputs) {
      told.insert(told.end(), outputs.logits.begin(), outputs.logits.end());
    });
    EXPECT_EQ(told, expected);
    model->rest();
  }
}

TEST(DeviceModel, WhoWantsOnlyChoicesIsToldTheMostLikelyTokens) {
  const auto model = load(small_file());
  const auto tokens = text(300);
  const auto first = pages_from(0, 19);
  const auto second = pages_from(19, 1);
  sequence_rows batch[] = {{first, 0, tokens, 40}, {second, 0, std::span{tokens}.first(7), 3}};
  floats logits(43 * vocabulary);
  model->forward(batch, logits);
  for (auto& rows : batch)
    rows.wants_choices = true;
  std::vector<token_id> told;
  for_each_output(*model, batch, [&](std::size_t, const row_outputs& outputs) {
    EXPECT_TRUE(outputs.logits.empty());
    told.insert(told.end(), outputs.choices.begin(), outputs.choices.end());
  });
  ASSERT_EQ(told.size(), 43);
  for (std::size_t row = 0; row < told.size(); ++row)
    EXPECT_EQ(told[row], argmax(std::span{logits}.subspan(row * vocabulary, vocabulary))) << "row " << row;
}

TEST(DeviceModel, EachSequenceIsToldWhatItWantsBesideOthers) {
  const auto model = load(small_file());
  const auto tokens = text(300); // more than it takes at once
  const auto first = pages_from(0, 1);
  const auto second = pages_from(1, 19);
  const auto third = pages_from(20, 1);
  const auto fourth = pages_from(21, 1);
  std::vector<token_draw> draws;
  for (int i = 0; i < 60; ++i)
    draws.push_back({(i + 0.5) / 60, 0.5F + 0.02F * static_cast<float>(i), i % 3 == 0 ? 5 : 0,
                     i % 2 == 0 ? 0.9F : 1.0F, i % 5 == 0 ? 0.1F : 0.0F});
  sequence_rows batch[] = {{first, 0, std::span{tokens}.first(7), 3},
                           {second, 0, tokens, 60},
                           {third, 0, std::span{tokens}.first(5), 2},
                           {fourth, 0, std::span{tokens}.first(6), 2}};
  floats logits(67 * vocabulary);
  model->forward(batch, logits);
  const auto row_of = [&](int row) {
    return std::span{logits}.subspan(static_cast<std::size_t>(row * vocabulary), vocabulary);
  };
  batch[1].wants_choices = batch[2].wants_choices = true;
  batch[1].draws = draws;
  model->forward_each(batch, [&](std::size_t, std::span<const row_outputs> outputs) {
    ASSERT_EQ(outputs.size(), 4);
    EXPECT_TRUE(std::ranges::equal(outputs[3].logits, std::span{logits}.subspan(65 * vocabulary)));
    EXPECT_TRUE(std::ranges::equal(outputs[0].logits, std::span{logits}.first(3 * vocabulary)));
    ASSERT_EQ(outputs[1].choices.size(), 60);
    int n_moved = 0;
    for (std::size_t i = 0; i < 60; ++i) {
      const auto row = row_of(3 + static_cast<int>(i));
      EXPECT_EQ(outputs[1].choices[i], drawn_token(row, argmax(row), draws[i])) << "row " << i;
      n_moved += outputs[1].choices[i] != argmax(row) ? 1 : 0;
    }
    EXPECT_GT(n_moved, 10);
    const token_id likeliest[] = {argmax(row_of(63)), argmax(row_of(64))};
    EXPECT_TRUE(std::ranges::equal(outputs[2].choices, likeliest));
  });
}

TEST(DeviceModel, AnotherGoesOnFromItsPagesBitByBit) {
  const auto one = load(small_file());
  const auto other = load(small_file());
  ASSERT_EQ(one->page_format(), other->page_format());
  const auto tokens = text(40);
  const auto expected = logits_of(*one, pages_from(1, 3), tokens, 0, 8);
  std::vector<std::byte> bytes(one->page_bytes());
  for (const page_id page : {1, 2}) {
    one->save_page(page, bytes);
    other->load_page(page + 4, bytes);
  }
  EXPECT_EQ(logits_of(*other, pages_from(5, 3), std::span{tokens}.subspan(32), 32, 8), expected);
}

TEST(DeviceModel, TurnsTheKeysOfASinkAsTheCpuDoes) {
  const auto bytes = small_file().bytes();
  const auto cpu = *load_model(*gguf_file::parse(bytes), {2, 32, kv_type::f16});
  const auto device = load(small_file());
  const auto tokens = text(64);
  for (const int n_dropped : {32, 32 * page_tokens}) { // the last is far beyond the context
    floats logits[2];
    for (auto* model : {cpu.get(), device.get()}) {
      logits_of(*model, pages_from(0, 4), tokens, 0, 1);
      const page_turn turn{0, 9, n_dropped};
      model->turn({&turn, 1});
      const std::vector<page_id> pages{9, 20, 21};
      logits[model == device.get()] =
          logits_of(*model, pages, text(20), page_tokens + n_dropped, 20, n_dropped);
    }
    for (std::size_t i = 0; i < logits[0].size(); ++i)
      ASSERT_NEAR(logits[0][i], logits[1][i], 3e-3) << "row " << i / vocabulary;
  }
}

TEST(DeviceModel, RefusesATensorThatItWouldNotRead) {
  auto file = small_file();
  add_norm(file, "blk.0.attn_q_norm.weight", 32);
  const auto bytes = file.bytes();
  const auto parsed = *gguf_file::parse(bytes);
  const auto refused = make_device_model(*parsed, *read_config(*parsed), "tiny", {2, 8}, device_under_test());
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().find("attn_q_norm"), std::string::npos);
}

TEST(ComputeDevice, IsNamedByItsKindAndNumber) {
  EXPECT_EQ(compute_device_named("cpu"), compute_device{});
  EXPECT_EQ(compute_device_named("cuda"), compute_device{0});
  EXPECT_EQ(compute_device_named("cuda:12"), compute_device{12});
  for (const auto* wrong : {"", "gpu", "cud", "cuda:", "cuda:-1", "cuda:1x", "cuda1", "CUDA"})
    EXPECT_FALSE(compute_device_named(wrong)) << wrong;
}

} // namespace
} // namespace souffleur::cuda
