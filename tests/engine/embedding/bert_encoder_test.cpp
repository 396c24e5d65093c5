#include "engine/embedding/bert_encoder.hpp"

#include "tests/engine/embedding/tiny_bert.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>

namespace souffleur {
namespace {

using namespace testing;

using text = std::vector<token_id>;

const tiny_bert& tiny() {
  static const tiny_bert made;
  return made;
}

std::unique_ptr<bert_encoder> encoder_of(int n_threads, isa level) {
  static const auto bytes = tiny().file();
  const auto weights = read_bert_weights(*safetensors_file::parse(bytes), tiny().config);
  return std::make_unique<bert_encoder>(tiny().config, *weights, n_threads, level);
}

std::vector<float> encoded(bert_encoder& encoder, const std::vector<text>& texts) {
  const std::vector<std::span<const token_id>> views{texts.begin(), texts.end()};
  std::vector<float> out(texts.size() * static_cast<std::size_t>(tiny().config.n_hidden));
  encoder.encode(views, out.data());
  return out;
}

std::vector<text> any_texts() {
  std::vector<text> texts;
  for (int n = *rc::gen::inRange(1, 6); n > 0; --n)
    texts.push_back(*rc::gen::container<text>(*rc::gen::inRange<std::size_t>(1, 41),
                                              rc::gen::inRange<token_id>(0, tiny().config.n_vocabulary)));
  return texts;
}

// Planted bugs that it caught: rows that see up to their own position only; pages that texts share; a text
// without its last row in the mean; no segment; no bias on the values; a lost residual; unscaled scores.
RC_GTEST_PROP(BertEncoder, texts_are_encoded_as_in_double_precision_whatever_others_there_are, ()) {
  const auto texts = any_texts();
  const auto level = *rc::gen::elementOf(available_isas());
  const auto all = encoded(*encoder_of(1, level), texts);
  const auto n = static_cast<std::size_t>(tiny().config.n_hidden);
  for (std::size_t t = 0; t < texts.size(); ++t) {
    const auto wanted = tiny().embedding(texts[t]);
    for (std::size_t i = 0; i < n; ++i)
      RC_ASSERT(std::abs(all[t * n + i] - wanted[i]) < 1e-5);
  }
}

RC_GTEST_PROP(BertEncoder, a_text_has_the_same_bits_alone_and_among_others_on_any_number_of_threads, ()) {
  const auto texts = any_texts();
  const auto level = *rc::gen::elementOf(available_isas());
  const auto together = encoder_of(*rc::gen::inRange(1, 4), level);
  encoded(*together, any_texts()); // what it leaves behind does not matter
  const auto all = encoded(*together, texts);
  const auto alone = encoder_of(1, level);
  const auto n = static_cast<std::ptrdiff_t>(tiny().config.n_hidden);
  for (std::size_t t = 0; t < texts.size(); ++t) {
    const auto first = all.begin() + static_cast<std::ptrdiff_t>(t) * n;
    RC_ASSERT(encoded(*alone, {texts[t]}) == (std::vector<float>{first, first + n}));
  }
}

TEST(BertWeights, a_missing_or_misshapen_tensor_is_named) {
  const auto name = std::string{"encoder.layer.1.attention.self.value.bias"};
  const auto without = tiny().file(name);
  const auto missing = read_bert_weights(*safetensors_file::parse(without), tiny().config);
  ASSERT_FALSE(missing.ok());
  EXPECT_NE(missing.error().find(name), std::string::npos);
  const auto whole = tiny().file();
  auto other = tiny().config;
  other.n_inner = 96;
  const auto misshapen = read_bert_weights(*safetensors_file::parse(whole), other);
  ASSERT_FALSE(misshapen.ok());
  EXPECT_NE(misshapen.error().find("intermediate"), std::string::npos);
}

std::string config_with(const std::string& key, const std::string& value) {
  std::map<std::string, std::string> fields{{"hidden_act", "\"gelu\""},
                                            {"hidden_size", "384"},
                                            {"intermediate_size", "1536"},
                                            {"layer_norm_eps", "1e-12"},
                                            {"max_position_embeddings", "512"},
                                            {"model_type", "\"bert\""},
                                            {"num_attention_heads", "12"},
                                            {"num_hidden_layers", "6"},
                                            {"vocab_size", "30522"}};
  fields[key] = value;
  std::string text;
  for (const auto& [name, content] : fields)
    if (!content.empty())
      text += (text.empty() ? "{" : ",") + ("\"" + name + "\":") + content;
  return text + "}";
}

TEST(BertConfig, what_is_missing_or_not_supported_is_named) {
  const auto config = read_bert_config(config_with("vocab_size", "30522"));
  ASSERT_TRUE(config.ok()) << config.error();
  EXPECT_EQ(config->head_dim(), 32);
  for (const auto& [key, value] :
       std::vector<std::pair<std::string, std::string>>{{"hidden_act", "\"gelu_new\""},
                                                        {"model_type", "\"roberta\""},
                                                        {"hidden_size", ""},
                                                        {"hidden_size", "390"},
                                                        {"num_hidden_layers", "-1"},
                                                        {"vocab_size", "\"many\""},
                                                        {"layer_norm_eps", "null"}}) {
    const auto wrong = read_bert_config(config_with(key, value));
    ASSERT_FALSE(wrong.ok()) << key;
    EXPECT_NE(wrong.error().find(key), std::string::npos) << wrong.error();
  }
  EXPECT_FALSE(read_bert_config("[").ok());
}

} // namespace
} // namespace souffleur
