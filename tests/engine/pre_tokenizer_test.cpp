#include "engine/tokenizer/pre_tokenizer.hpp"

#include "tests/engine/random_text.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace souffleur {
namespace {

using namespace testing;
using words = std::vector<std::string>;

pre_tokenizer named(const char* name) {
  auto made = pre_tokenizer::named(name);
  EXPECT_TRUE(made.ok()) << made.error();
  return *made;
}

words split(const char* name, const std::string& text) {
  std::vector<std::string_view> parts;
  named(name).split(text, parts);
  return {parts.begin(), parts.end()};
}

TEST(PreTokenizer, Gpt2KeepsASpaceWithItsWordAndNumbersWhole) {
  EXPECT_EQ(split("gpt-2", "I'll pay  $123.45 x\n\n y"),
            (words{"I", "'ll", " pay", " ", " $", "123", ".", "45", " x", "\n\n", " y"}));
}

TEST(PreTokenizer, Gpt2KnowsContractionsInLowerCaseOnly) {
  EXPECT_EQ(split("gpt-2", "it's IT'S"), (words{"it", "'s", " IT", "'", "S"}));
}

TEST(PreTokenizer, SmollmCutsOffEveryDigitBeforeItLooksAtWords) {
  EXPECT_EQ(split("smollm", "in 2024  7a"), (words{"in", " ", "2", "0", "2", "4", "  ", "7", "a"}))
      << "the spaces before a digit end their piece";
  EXPECT_EQ(split("smollm", "\u00bd\u0664"), (words{"\u00bd", "\u0664"})) << "any Unicode number";
}

TEST(PreTokenizer, Qwen2KeepsNewlinesWithPunctuationAndDigitsAlone) {
  EXPECT_EQ(split("qwen2", "f(x);\n\ny = 12"), (words{"f", "(x", ");\n\n", "y", " =", " ", "1", "2"}));
  EXPECT_EQ(split("qwen2", "a  \n  b"), (words{"a", "  \n", " ", " b"}));
  EXPECT_EQ(split("qwen2", "IT'S"), (words{"IT", "'S"}));
  EXPECT_EQ(split("qwen2", "x'\u017f"), (words{"x", "'\u017f"})) << "the long s is an s in another case";
}

TEST(PreTokenizer, LlamaBpeTakesUpToThreeDigits) {
  EXPECT_EQ(split("llama-bpe", "12345 67"), (words{"123", "45", " ", "67"}));
}

TEST(PreTokenizer, DefaultTakesPunctuationApartFirst) {
  EXPECT_EQ(split("default", "a -> 1234!"), (words{"a", " ", "->", " ", "123", "4", "!"}));
}

TEST(PreTokenizer, CountsAsSpaceWhatUnicodeDoes) {
  EXPECT_EQ(split("gpt-2", "a\u0085\u3000 b"), (words{"a", "\u0085\u3000", " b"}));
  EXPECT_EQ(split("gpt-2", "a\u180e\u180e"), (words{"a", "\u180e\u180e"}));
  EXPECT_EQ(split("gpt-2", "\u180e!"), (words{"\u180e!"}))
      << "no space since Unicode 6.3, whatever PCRE2's \\s says";
}

TEST(PreTokenizer, OnlyQwen2Normalises) {
  EXPECT_EQ(named("qwen2").normalised("e\u0301"), "\u00e9");
  EXPECT_EQ(named("smollm").normalised("e\u0301"), "e\u0301");
}

TEST(PreTokenizer, NamesTheKnownFamilies) {
  const auto unknown = pre_tokenizer::named("gpt-5");
  ASSERT_FALSE(unknown.ok());
  for (const char* part : {"gpt-5", "default", "gpt-2", "llama-bpe", "smollm", "qwen2"})
    EXPECT_NE(unknown.error().find(part), std::string::npos) << part;
}

TEST(PreTokenizer, TakesAMegabyteOfSpaces) {
  const std::string spaces(1 << 20, ' ');
  for (const char* name : {"default", "gpt-2", "llama-bpe", "smollm", "qwen2"})
    EXPECT_EQ(split(name, spaces + "x").size(), 2U) << name;
}

RC_GTEST_PROP(PreTokenizer, LosesNothingInAnyFamily, ()) {
  const auto text = *unicode_text();
  for (const char* name : {"default", "gpt-2", "llama-bpe", "smollm", "qwen2"}) {
    std::string joined;
    for (const auto& word : split(name, text)) {
      RC_ASSERT(!word.empty());
      joined += word;
    }
    RC_ASSERT(joined == text);
  }
}

} // namespace
} // namespace souffleur
