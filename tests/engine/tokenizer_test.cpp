// Laws of the tokenizer over small vocabularies made in memory, and over the published ones where they are
// there.
#include "engine/tokenizer.hpp"

#include "engine/tokenizer/utf8.hpp"
#include "tests/engine/random_text.hpp"
#include "tests/engine/tiny_gguf.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <fstream>
#include <functional>
#include <set>
#include <thread>

namespace souffleur {
namespace {

using namespace testing;
using ids = std::vector<token_id>;

constexpr std::array families = {"default", "gpt-2", "llama-bpe", "smollm", "qwen2"};

result<std::shared_ptr<const tokenizer>> read(const tiny_gguf& file) {
  const auto bytes = file.bytes();
  const auto parsed = gguf_file::parse(bytes);
  EXPECT_TRUE(parsed.ok()) << parsed.error();
  return tokenizer::from_gguf(**parsed);
}

std::shared_ptr<const tokenizer> made(const tiny_gguf& file) {
  const auto words = read(file);
  EXPECT_TRUE(words.ok()) << words.error();
  return *words;
}

/// Null if the file is not there.
std::shared_ptr<const tokenizer> published(const std::string& name) {
  const auto path = std::string{SOUFFLEUR_MODELS} + "/" + name;
  if (!std::ifstream{path})
    return nullptr;
  const auto file = gguf_file::open(path);
  return file ? *tokenizer::from_gguf(**file) : nullptr;
}
const std::shared_ptr<const tokenizer>& smollm2() {
  static const auto words = published("SmolLM2-135M-Instruct.Q4_1.gguf");
  return words;
}
const std::shared_ptr<const tokenizer>& qwen2() {
  static const auto words = published("Qwen2.5-Coder-0.5B-Instruct.Q4_K_M.gguf");
  return words;
}

rc::Gen<std::vector<std::string>> twenty(rc::Gen<std::string> text) {
  return rc::gen::container<std::vector<std::string>>(20, std::move(text));
}

rc::Gen<std::string> text_with_specials() {
  return joined(rc::gen::weightedOneOf<std::string>(
      {{8, character()},
       {1, rc::gen::element<std::string>("<|im_start|>", "<|im_end|>", "<|endoftext|>", "<tool_call>",
                                         "<file_sep>", "</tool_call>", "<|im_", "_end|>", "<|", "<")}}));
}

// --- merging
// ---------------------------------------------------------------------------------------------------

/// Merges by scanning the whole word for the lowest rank, again and again.
ids naively_merged(const tiny_vocabulary& vocabulary, const std::string& word) {
  std::vector<std::string> parts;
  for (const char c : word)
    parts.emplace_back(1, c);
  const auto rank_of = [&](std::size_t i) {
    return std::find(vocabulary.merges.begin(), vocabulary.merges.end(), parts[i] + " " + parts[i + 1]) -
           vocabulary.merges.begin();
  };
  while (true) {
    std::ptrdiff_t best_rank = std::ssize(vocabulary.merges);
    std::size_t best = 0;
    for (std::size_t i = 0; i + 1 < parts.size(); ++i)
      if (rank_of(i) < best_rank) {
        best_rank = rank_of(i);
        best = i;
      }
    if (best_rank == std::ssize(vocabulary.merges))
      break;
    parts[best] += parts[best + 1];
    parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  }
  ids tokens;
  for (const auto& part : parts)
    tokens.push_back(static_cast<token_id>(
        std::find(vocabulary.tokens.begin(), vocabulary.tokens.end(), part) - vocabulary.tokens.begin()));
  return tokens;
}

// Planted bugs that this caught: rightmost first among equal ranks; a merge applied although its left or its
// right symbol had changed; the pair with the left neighbour not looked at again; the last rank of a repeated
// pair taken.
RC_GTEST_PROP(Tokenizer, MergesLikeARepeatedSearchForTheLowestRank, ()) {
  std::vector<std::string> spellings = {"a", "b", "c"};
  tiny_vocabulary vocabulary;
  for (int n = *rc::gen::inRange(0, 12); n > 0; --n) {
    const auto left = *rc::gen::elementOf(spellings);
    const auto right = *rc::gen::elementOf(spellings);
    if (std::find(spellings.begin(), spellings.end(), left + right) == spellings.end()) {
      vocabulary.merged(left, right);
      spellings.push_back(left + right);
    } else {
      vocabulary.merges.push_back(left + " " + right);
    }
  }
  const auto words = made(vocabulary.file());
  for (const auto& word : *twenty(rc::gen::container<std::string>(rc::gen::element('a', 'b', 'c')))) {
    if (!word.empty())
      RC_ASSERT(words->encode(word, false) == naively_merged(vocabulary, word));
  }
}

TEST(Tokenizer, IgnoresAMergeOfPiecesItDoesNotKnow) {
  tiny_vocabulary vocabulary;
  vocabulary.merges = {"a b", "ab c", "xyz q"};
  vocabulary.merged("b", "c");
  EXPECT_EQ(made(vocabulary.file())->encode("abc", false), (ids{'a', 256}));
}

TEST(Tokenizer, TakesAWholeWordBeforeItsMergesOnlyInLlamasFamily) {
  tiny_vocabulary vocabulary;
  vocabulary.merged("a", "b").token("abc");
  EXPECT_EQ(made(vocabulary.file("llama-bpe"))->encode("abc", false), (ids{257}));
  EXPECT_EQ(made(vocabulary.file("gpt-2"))->encode("abc", false), (ids{256, 'c'}));
}

TEST(Tokenizer, LeavesOutAByteWithoutATokenBeforeItMerges) {
  tiny_vocabulary vocabulary;
  vocabulary.merged("!", "!");
  vocabulary.tokens[4] = "none";
  EXPECT_EQ(made(vocabulary.file())->encode("!\x04!", false), (ids{256}));
  EXPECT_TRUE(made(vocabulary.file())->encode("\x04", false).empty());
}

TEST(Tokenizer, TakesAWordOfAMegabyte) {
  tiny_vocabulary vocabulary;
  vocabulary.merged("a", "a").merged("aa", "aa").merged("b", "a");
  const auto words = made(vocabulary.file());
  std::string word;
  for (std::size_t i = 0; i < std::size_t{1} << 20; ++i)
    word += "aaab"[i * i / 7 % 4];
  EXPECT_EQ(words->decode(words->encode(word, false)), word);
  EXPECT_EQ(words->encode(std::string(1 << 20, 'a'), false), ids(1 << 18, 257));
}

// --- special tokens
// --------------------------------------------------------------------------------------------

constexpr std::int32_t control = 3;
constexpr std::int32_t user_defined = 4;

TEST(Tokenizer, ReadsControlTokensOnlyOnDemandAndUserDefinedOnesAlways) {
  tiny_vocabulary vocabulary;
  vocabulary.token("<c>", control).token("<u>", user_defined);
  const auto words = made(vocabulary.file());
  EXPECT_EQ(words->encode("<c><u>", true), (ids{256, 257}));
  EXPECT_EQ(words->encode("<c><u>", false), (ids{'<', 'c', '>', 257}));
  EXPECT_TRUE(words->is_control(256));
  EXPECT_FALSE(words->is_control(257));
}

TEST(Tokenizer, TakesTheLongestSpecialTokenOfTheLeftmost) {
  tiny_vocabulary vocabulary;
  vocabulary.token("<a", control).token("<ab>", user_defined).token("b><long>", control);
  const auto words = made(vocabulary.file());
  EXPECT_EQ(words->encode("<ab><long>", true), (ids{257, '<', 'l', 'o', 'n', 'g', '>'}));
  EXPECT_EQ(words->encode("<ab", true), (ids{256, 'b'}));
  EXPECT_EQ(words->encode("<<a<", true), (ids{'<', 256, '<'}));
}

TEST(Tokenizer, NeverMakesAControlTokenByMerging) {
  tiny_vocabulary vocabulary;
  vocabulary.token("stop", control);
  vocabulary.merged("s", "t").merged("o", "p");
  vocabulary.merges.emplace_back("st op");
  for (const auto* family : families)
    EXPECT_EQ(made(vocabulary.file(family))->encode("stop", false), (ids{257, 258})) << family;
}

TEST(Tokenizer, NormalisesTextOnlyBetweenSpecialTokens) {
  tiny_vocabulary vocabulary;
  vocabulary.token("<c>", control);
  const auto words = made(vocabulary.file("qwen2"));
  EXPECT_EQ(words->decode(words->encode("<c>\u0338", true), true), "<c>\u0338") << "no mark joins the token";
  EXPECT_EQ(words->decode(words->encode("<c>\u0338", false), true), "<c\u226f") << "as text it does";
}

TEST(Tokenizer, DecodesControlTokensOnlyOnDemand) {
  tiny_vocabulary vocabulary;
  vocabulary.token("<c>", control).token("<u>", user_defined);
  const auto words = made(vocabulary.file());
  const ids tokens = {'x', 256, 257, -1, 1000, '\n'};
  EXPECT_EQ(words->decode(tokens), "x<u>\n");
  EXPECT_EQ(words->decode(tokens, true), "x<c><u>\n");
}

TEST(Tokenizer, ShowsATokenOutsideTheByteAlphabetAsItIsSpelled) {
  tiny_vocabulary vocabulary;
  vocabulary.token("\u0120x").token("\u4e2d x").token("a\xFF");
  const auto words = made(vocabulary.file());
  EXPECT_EQ(words->piece(256), " x");
  EXPECT_EQ(words->piece(257), "\u4e2d x");
  EXPECT_EQ(words->piece(258), "a\xFF");
}

// --- the whole way and back
// ------------------------------------------------------------------------------------

RC_GTEST_PROP(Tokenizer, DecodesWhatItEncodedWhateverTheBytes, ()) {
  static const auto words = [] {
    tiny_vocabulary vocabulary;
    vocabulary.merged("e", "r").merged("\u0120", "t").merged("\u00c3", "\u00a9").token("<|im_end|>", control);
    std::vector<std::shared_ptr<const tokenizer>> all;
    for (const auto* family : families)
      all.push_back(made(vocabulary.file(family)));
    return all;
  }();
  for (const auto& bytes : *twenty(broken_text()))
    for (std::size_t i = 0; i < words.size(); ++i) {
      const auto text = repaired_utf8(bytes);
      const auto tokens = words[i]->encode(bytes, false);
      RC_ASSERT(words[i]->decode(tokens) == (families[i] == std::string{"qwen2"} ? nfc(text) : text));
    }
}

/// The bytes that no token of the vocabulary stands for alone.
std::set<char> missing_bytes(const tokenizer& words) {
  std::set<char> missing;
  for (int byte = 0; byte < 256; ++byte)
    missing.insert(static_cast<char>(byte));
  for (token_id token = 0; token < words.vocabulary_size(); ++token)
    if (words.piece(token).size() == 1)
      missing.erase(words.piece(token)[0]);
  return missing;
}

RC_GTEST_PROP(Smollm2Tokenizer, DecodesWhatItEncodedButForBytesItHasNoTokensFor, ()) {
  if (!smollm2())
    return;
  static const auto missing = missing_bytes(*smollm2());
  RC_ASSERT(missing.size() == 21U);
  for (auto text : *twenty(text_with_specials())) {
    const auto special = smollm2()->encode(text, true);
    const auto plain = smollm2()->encode(text, false);
    std::erase_if(text, [](char byte) { return missing.contains(byte); });
    RC_ASSERT(smollm2()->decode(special, true) == text);
    RC_ASSERT(smollm2()->decode(plain) == text);
  }
}

RC_GTEST_PROP(Qwen2Tokenizer, DecodesTheNormalFormOfWhatItEncoded, ()) {
  if (!qwen2())
    return;
  for (const auto& text : *twenty(unicode_text()))
    RC_ASSERT(qwen2()->decode(qwen2()->encode(text, false)) == nfc(text));
  for (const auto& text : *twenty(text_with_specials()))
    RC_ASSERT(nfc(qwen2()->decode(qwen2()->encode(text, true), true)) == nfc(text));
}

RC_GTEST_PROP(Qwen2Tokenizer, TakesAnyBytes, ()) {
  if (!qwen2())
    return;
  for (const auto& bytes : *twenty(broken_text()))
    RC_ASSERT(qwen2()->decode(qwen2()->encode(bytes, true), true) ==
              qwen2()->decode(qwen2()->encode(bytes, false)));
}

TEST(Tokenizer, MayBeSharedByThreads) {
  tiny_vocabulary vocabulary;
  vocabulary.merged("e", "r").merged("\u0120", "t").token("<c>", control);
  const auto words = made(vocabulary.file("qwen2"));
  const std::string text = "<c>The other e\u0301ther  needs 123 tethers.\n";
  const auto expected = words->encode(text, true);
  std::vector<std::thread> threads;
  std::atomic<int> n_different = 0;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      for (int n = 0; n < 200; ++n)
        n_different += words->encode(text, true) != expected;
    });
  for (auto& thread : threads)
    thread.join();
  EXPECT_EQ(n_different, 0);
}

// --- what the file says
// ----------------------------------------------------------------------------------------

TEST(Tokenizer, EndsAtTheFilesOwnIdsFirstThenAtWellKnownSpellings) {
  tiny_vocabulary vocabulary;
  vocabulary.token("<|im_end|>", control).token("</s>").token("<bye>", control).token("<|eot_id|>", control);
  auto file = vocabulary.file();
  file.id("tokenizer.ggml.eos_token_id", 258).integer("tokenizer.ggml.eot_token_id", 65);
  const auto words = made(file);
  EXPECT_EQ(ids(words->end_tokens().begin(), words->end_tokens().end()), (ids{258, 65, 256, 259}))
      << "</s> is no control token here";
  EXPECT_TRUE(words->is_end(259));
  EXPECT_FALSE(words->is_end(257));
  EXPECT_FALSE(words->is_end(-1));
}

TEST(Tokenizer, AddsABosWhereTheFileSaysSoAndInLlamasFamilyByDefault) {
  auto file = tiny_vocabulary{}.file();
  EXPECT_EQ(made(file)->bos(), std::nullopt);
  file.id("tokenizer.ggml.bos_token_id", 7);
  EXPECT_EQ(made(file)->bos(), 7);
  EXPECT_FALSE(made(file)->adds_bos());
  file.text("tokenizer.ggml.pre", "llama-bpe");
  EXPECT_TRUE(made(file)->adds_bos());
  file.flag("tokenizer.ggml.add_bos_token", false);
  EXPECT_FALSE(made(file)->adds_bos());
  file.text("tokenizer.ggml.pre", "gpt-2").flag("tokenizer.ggml.add_bos_token", true);
  EXPECT_TRUE(made(file)->adds_bos());
}

TEST(Tokenizer, NamesTheFieldThatIsWrong) {
  struct wrong_file {
    const char* field;
    const char* why;
    std::function<void(tiny_gguf&)> spoil;
  };
  const std::string prefix = "tokenizer.ggml.";
  const auto without = [&](const char* key) { return [=](tiny_gguf& file) { file.remove(prefix + key); }; };
  const std::vector<std::string> twice(256, "a");
  const std::vector<wrong_file> files = {
      {"model", "missing", without("model")},
      {"model", "known: gpt2, llama", [&](auto& file) { file.text("tokenizer.ggml.model", "t5"); }},
      {"pre", "missing", without("pre")},
      {"pre", "smollm, qwen2", [&](auto& file) { file.text("tokenizer.ggml.pre", "tekken"); }},
      {"pre", "no string", [&](auto& file) { file.id("tokenizer.ggml.pre", 1); }},
      {"tokens", "missing", without("tokens")},
      {"tokens", "empty", [&](auto& file) { file.texts("tokenizer.ggml.tokens", {}); }},
      {"tokens", "array of strings",
       [&](auto& file) {
         file.integers("tokenizer.ggml.tokens", {1, 2});
       }},
      {"tokens", "element 1 is spelled as element 0",
       [&](auto& file) { file.texts("tokenizer.ggml.tokens", twice); }},
      {"token_type", "missing", without("token_type")},
      {"token_type", "255 elements for 256 tokens",
       [&](auto& file) { file.integers("tokenizer.ggml.token_type", std::vector<std::int32_t>(255, 1)); }},
      {"token_type", "element 0 is 7",
       [&](auto& file) { file.integers("tokenizer.ggml.token_type", std::vector<std::int32_t>(256, 7)); }},
      {"token_type", "element 0 is -1",
       [&](auto& file) { file.integers("tokenizer.ggml.token_type", std::vector<std::int32_t>(256, -1)); }},
      {"merges", "missing", without("merges")},
      {"merges", "element 1 is no pair",
       [&](auto& file) {
         file.texts("tokenizer.ggml.merges", {"a b", "ab"});
       }},
      {"merges", "element 0 is no pair", [&](auto& file) { file.texts("tokenizer.ggml.merges", {"a "}); }},
      {"merges", "element 0 is no pair", [&](auto& file) { file.texts("tokenizer.ggml.merges", {""}); }},
      {"merges", "element 0 is no pair", [&](auto& file) { file.texts("tokenizer.ggml.merges", {" a"}); }},
      {"eos_token_id", "256 is no token", [&](auto& file) { file.id("tokenizer.ggml.eos_token_id", 256); }},
      {"eot_token_id", "-1 is no token",
       [&](auto& file) { file.integer("tokenizer.ggml.eot_token_id", -1); }},
      {"bos_token_id", "4294967295 is no token",
       [&](auto& file) { file.id("tokenizer.ggml.bos_token_id", 0xFFFFFFFF); }},
      {"bos_token_id", "no integer", [&](auto& file) { file.text("tokenizer.ggml.bos_token_id", "1"); }},
      {"add_bos_token", "no boolean", [&](auto& file) { file.id("tokenizer.ggml.add_bos_token", 1); }},
      {"add_bos_token", "bos_token_id is missing",
       [&](auto& file) { file.flag("tokenizer.ggml.add_bos_token", true); }}};
  for (const auto& [field, why, spoil] : files) {
    auto file = tiny_vocabulary{}.file();
    ASSERT_TRUE(read(file).ok());
    spoil(file);
    const auto words = read(file);
    ASSERT_FALSE(words.ok()) << field << " " << why;
    EXPECT_EQ(words.error().find(prefix + field), 0U) << words.error();
    EXPECT_NE(words.error().find(why), std::string::npos) << words.error();
  }
}

/// Neither parsing nor using what was parsed may crash.
void use(std::span<const std::byte> bytes) {
  const auto file = gguf_file::parse(bytes);
  if (!file.ok())
    return;
  const auto words = tokenizer::from_gguf(**file);
  if (!words.ok()) {
    RC_ASSERT(words.error().find("tokenizer.ggml.") == 0U);
    return;
  }
  auto tokens = (*words)->encode("<c>abc <u>\xFF", true);
  tokens.insert(tokens.end(), (*words)->end_tokens().begin(), (*words)->end_tokens().end());
  if (const auto bos = (*words)->bos())
    tokens.push_back(*bos);
  for (const auto token : tokens)
    RC_ASSERT(token >= 0 && token < (*words)->vocabulary_size());
}

// Planted bug that this caught: ids not checked at all. It rarely reaches subtler ones; the next property
// does.
RC_GTEST_PROP(Tokenizer, SurvivesFilesWithFlippedBytes, ()) {
  static const auto intact = [] {
    tiny_vocabulary vocabulary;
    vocabulary.merged("a", "b").merged("ab", "c").token("<c>", control).token("<u>", user_defined);
    auto file = vocabulary.file("qwen2");
    return file.id("tokenizer.ggml.eos_token_id", 258).id("tokenizer.ggml.bos_token_id", 258).bytes();
  }();
  for (int round = 0; round < 20; ++round) {
    auto bytes = intact;
    for (int n = *rc::gen::inRange(1, 6); n > 0; --n)
      bytes[*rc::gen::inRange<std::size_t>(0, bytes.size())] =
          static_cast<std::byte>(*rc::gen::arbitrary<std::uint8_t>());
    use(bytes);
  }
}

// Planted bugs that this caught: an id one past the vocabulary let through; fewer types than tokens let
// through (that one with the library's assertions on).
RC_GTEST_PROP(Tokenizer, SurvivesAnyTokensTypesMergesAndIds, ()) {
  for (int round = 0; round < 20; ++round) {
    const auto word = joined(rc::gen::element<std::string>("a", "b", "c", " ", "<", "\u0120", "\xFF", ""));
    tiny_vocabulary vocabulary;
    for (const auto& spelling : *rc::gen::container<std::vector<std::string>>(word))
      if (spelling.size() != 1 && spelling != "\u0120")
        vocabulary.token(spelling, *rc::gen::inRange(0, 7));
    for (int n = *rc::gen::inRange(0, 8); n > 0; --n)
      vocabulary.merges.push_back(*rc::gen::elementOf(vocabulary.tokens) + " " +
                                  *rc::gen::elementOf(vocabulary.tokens));
    if (*rc::gen::inRange(0, 8) == 0)
      vocabulary.merges.push_back(*word);
    vocabulary.types.resize(vocabulary.types.size() -
                            *rc::gen::weightedElement<std::size_t>({{9, 0}, {1, 1}}));
    auto file = vocabulary.file(*rc::gen::elementOf(families));
    const auto n_tokens = static_cast<int>(vocabulary.tokens.size());
    const auto id =
        rc::gen::weightedOneOf<int>({{8, rc::gen::inRange(0, n_tokens)}, {1, rc::gen::just(n_tokens)}});
    file.integer("tokenizer.ggml.eos_token_id", *id).integer("tokenizer.ggml.bos_token_id", *id);
    use(file.bytes());
  }
}

} // namespace
} // namespace souffleur
