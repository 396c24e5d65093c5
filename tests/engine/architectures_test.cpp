// Architectures by small models made in memory, against logits that were not made with this engine.
#include "engine/model/architectures.hpp"
#include "engine/model/load_model.hpp"
#include "tests/engine/tiny_model.hpp"

#include <boost/json.hpp>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <numeric>

namespace souffleur {
namespace {

using namespace testing;

/// Keeps the bytes that the file views.
struct loaded_file {
  explicit loaded_file(const tiny_gguf& file) : bytes(file.bytes()) {
    auto parsed = gguf_file::parse(bytes);
    EXPECT_TRUE(parsed.ok()) << parsed.error();
    gguf = *parsed;
  }
  std::vector<std::byte> bytes;
  std::shared_ptr<const gguf_file> gguf;
};

result<std::shared_ptr<language_model>> read(const tiny_gguf& file) {
  const loaded_file loaded{file};
  return load_model(loaded.gguf, {2, 16, kv_type::f32});
}

/// Logits (n_rows, vocabulary) of a sequence given in chunks.
std::vector<float> run(language_model& model, const std::vector<token_id>& ids, int chunk) {
  std::vector<page_id> pages(ids.size() / page_tokens + 1);
  std::iota(pages.rbegin(), pages.rend(), 3);
  const int n = static_cast<int>(ids.size());
  std::vector<float> all;
  for (int at = 0; at < n; at += chunk) {
    const int size = std::min(chunk, n - at);
    std::vector<float> logits(static_cast<std::size_t>(size) * model.vocabulary_size());
    const sequence_rows rows{pages, at, std::span{ids}.subspan(at, size), size};
    model.forward(std::span{&rows, 1}, logits);
    all.insert(all.end(), logits.begin(), logits.end());
  }
  return all;
}

std::vector<boost::json::object> golden_rows(const std::string& architecture) {
  std::ifstream in{std::string{SOUFFLEUR_GOLDEN} + "/tiny_models.jsonl"};
  std::vector<boost::json::object> rows;
  for (std::string line; std::getline(in, line);)
    if (auto row = boost::json::parse(line).as_object(); row.at("architecture").as_string() == architecture)
      rows.push_back(std::move(row));
  EXPECT_FALSE(rows.empty()) << architecture;
  return rows;
}

void logits_match(const tiny_gguf& file, const boost::json::object& row) {
  const auto model = read(file);
  ASSERT_TRUE(model.ok()) << model.error();
  std::vector<token_id> ids;
  for (const auto& id : row.at("ids").as_array())
    ids.push_back(id.to_number<token_id>());
  const auto logits = run(**model, ids, 17);
  const auto& expected = row.at("logits").as_array();
  constexpr std::size_t stride = 3; // the golden data has every third position
  ASSERT_EQ(expected.size(), (ids.size() + stride - 1) / stride);
  double worst = 0;
  for (std::size_t i = 0; i < expected.size(); ++i)
    for (std::size_t token = 0; token < expected[i].as_array().size(); ++token)
      worst = std::max(worst, std::fabs(logits[i * stride * (*model)->vocabulary_size() + token] -
                                        expected[i].as_array()[token].to_number<double>()));
  std::printf("%s: largest logit difference %.2g\n", row.at("architecture").as_string().c_str(), worst);
  EXPECT_LT(worst, 2e-4);
}

/// Calls `body` with the kernels, the portable kernels and the ATen operators.
void with_every_operator_set(const std::function<void()>& body) {
  body();
  for (const auto* level : {"portable", "reference"}) {
    setenv("SOUFFLEUR_ISA", level, 1);
    body();
  }
  unsetenv("SOUFFLEUR_ISA");
}

TEST(Architectures, Qwen3sLogitsAreThoseOfTheReference) {
  with_every_operator_set([] { logits_match(tiny_qwen3(), golden_rows("qwen3").front()); });
}

// One window is shorter than a page, the other longer than the context.
TEST(Architectures, Gemma3sLogitsAreThoseOfTheReference) {
  with_every_operator_set([] {
    for (const auto& row : golden_rows("gemma3"))
      logits_match(tiny_gemma3(row.at("window").to_number<int>()), row);
  });
}

RC_GTEST_PROP(Architectures, GiveARowTheSameLogitsHoweverItsPastWasCut, ()) {
  static const auto gemma = *read(tiny_gemma3(8));
  static const auto qwen = *read(tiny_qwen3());
  auto& model = **rc::gen::element(&gemma, &qwen);
  const auto n = *rc::gen::inRange<std::size_t>(1, 64);
  const auto ids = *rc::gen::container<std::vector<token_id>>(n, rc::gen::inRange(0, 96));
  const auto whole = run(*model, ids, 64);
  const auto cut = run(*model, ids, *rc::gen::inRange(1, 40));
  RC_ASSERT(whole == cut);
}

TEST(Architectures, SeeNothingBeforeTheirWindow) {
  auto file = tiny_gemma3(8);
  file.id("gemma3.attention.sliding_window_pattern", 1000); // no layer is global
  const auto model = *read(file);
  std::vector<token_id> ids(60, 1);
  const auto before = run(*model, ids, 60);
  ids[0] = 2;
  const auto after = run(*model, ids, 60);
  const auto row_of = [&](const std::vector<float>& logits, int i) {
    return std::vector<float>(logits.begin() + i * 96, logits.begin() + (i + 1) * 96);
  };
  const int reach = 4 * (8 - 1); // of four layers
  EXPECT_NE(row_of(before, reach), row_of(after, reach));
  for (int i = reach + 1; i < 60; ++i)
    EXPECT_EQ(row_of(before, i), row_of(after, i)) << i;
}

TEST(Architectures, FillInWhatAFileDoesNotSay) {
  auto file = tiny_gemma3(8);
  for (const auto* key : {"attention.sliding_window_pattern", "rope.scaling.type", "attention.key_length",
                          "attention.value_length", "attention.head_count_kv"})
    file.remove(std::string{"gemma3."} + key);
  file.id("gemma3.block_count", 7);
  const auto config = *read_config(*loaded_file{file}.gguf);
  std::vector<int> windows;
  for (const auto& layer : config.layers)
    windows.push_back(layer.window);
  EXPECT_EQ(windows, (std::vector<int>{8, 8, 8, 8, 8, 0, 8}));
  EXPECT_EQ(config.layers[5].rope, (rope_config{1e6, 1}));
  EXPECT_EQ(config.layers[6].rope, (rope_config{1e4, 1}));
  EXPECT_EQ(config.n_kv_heads, 4);
  EXPECT_EQ(config.head_dim, 16);
  EXPECT_DOUBLE_EQ(config.attention_scale, 0.25);
  EXPECT_DOUBLE_EQ(config.embedding_scale, 8);
}

TEST(Architectures, NameTheKeyOrTensorThatIsWrong) {
  struct wrong_file {
    const char* what;
    const char* why;
    std::function<void(tiny_gguf&)> spoil;
  };
  const auto without = [](const char* key) { return [=](tiny_gguf& file) { file.remove(key); }; };
  const std::vector<wrong_file> files = {
      {"general.architecture", "missing", without("general.architecture")},
      {"general.architecture", "\"mamba\" is not supported (known: llama, qwen2, qwen3, gemma3)",
       [](auto& file) { file.text("general.architecture", "mamba"); }},
      {"gemma3.block_count", "missing", without("gemma3.block_count")},
      {"gemma3.block_count", "0 is out of range", [](auto& file) { file.id("gemma3.block_count", 0); }},
      {"gemma3.block_count", "out of range", [](auto& file) { file.id("gemma3.block_count", 1 << 20); }},
      {"gemma3.attention.head_count_kv", "divide",
       [](auto& file) { file.id("gemma3.attention.head_count_kv", 3); }},
      {"gemma3.attention.head_count_kv", "no integer",
       [](auto& file) {
         file.integers("gemma3.attention.head_count_kv", {2, 2});
       }},
      {"gemma3.attention.key_length", "512", [](auto& file) { file.id("gemma3.attention.key_length", 512); }},
      {"gemma3.attention.value_length", "not supported",
       [](auto& file) { file.id("gemma3.attention.value_length", 16); }},
      {"gemma3.rope.dimension_count", "not supported",
       [](auto& file) { file.id("gemma3.rope.dimension_count", 16); }},
      {"gemma3.attention.sliding_window", "missing", without("gemma3.attention.sliding_window")},
      {"gemma3.attention.sliding_window_pattern", "no integer",
       [](auto& file) {
         file.integers("gemma3.attention.sliding_window_pattern", {1, 0});
       }},
      {"gemma3.rope.freq_base", "above 0", [](auto& file) { file.number("gemma3.rope.freq_base", 0); }},
      {"gemma3.rope.freq_base", "above 0", [](auto& file) { file.number("gemma3.rope.freq_base", NAN); }},
      {"gemma3.rope.scaling.type", "\"yarn\"",
       [](auto& file) { file.text("gemma3.rope.scaling.type", "yarn"); }},
      {"gemma3.rope.scaling.type", "no string", [](auto& file) { file.id("gemma3.rope.scaling.type", 1); }},
      {"gemma3.final_logit_softcapping", "not supported",
       [](auto& file) { file.number("gemma3.final_logit_softcapping", 30); }},
      {"gemma3.expert_count", "not supported", [](auto& file) { file.id("gemma3.expert_count", 8); }},
      {"tensor \"token_embd.weight\"", "missing",
       [](auto& file) { file.remove_tensor("token_embd.weight"); }},
      {"tensor \"blk.1.attn_k_norm.weight\"", "missing",
       [](auto& file) { file.remove_tensor("blk.1.attn_k_norm.weight"); }},
      {"tensor \"blk.2.post_ffw_norm.weight\"", "missing",
       [](auto& file) { file.remove_tensor("blk.2.post_ffw_norm.weight"); }},
      {"tensor \"blk.0.attn_q_norm.weight\"", "shape",
       [](auto& file) { add_norm(file, "blk.0.attn_q_norm.weight", 16); }},
      {"tensor \"rope_freqs.weight\"", "not supported",
       [](auto& file) { add_norm(file, "rope_freqs.weight", 16); }},
      {"tensor \"blk.4.attn_norm.weight\"", "not supported",
       [](auto& file) { add_norm(file, "blk.4.attn_norm.weight", 64); }}};
  ASSERT_TRUE(read(tiny_gemma3(8)).ok());
  for (const auto& [what, why, spoil] : files) {
    auto file = tiny_gemma3(8);
    spoil(file);
    const auto model = read(file);
    ASSERT_FALSE(model.ok()) << what << " " << why;
    EXPECT_EQ(model.error().find(std::string{what} + ": "), 0U) << model.error();
    EXPECT_NE(model.error().find(why), std::string::npos) << model.error();
  }
}

TEST(Architectures, RefuseANormThatTheArchitectureDoesNotHave) {
  auto file = tiny_llama("qwen2");
  ASSERT_TRUE(read(file).ok());
  add_norm(file, "blk.0.attn_q_norm.weight", 32);
  EXPECT_EQ(read(file).error(), "tensor \"blk.0.attn_q_norm.weight\": is not supported in this architecture");
}

} // namespace
} // namespace souffleur
