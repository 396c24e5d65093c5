// Laws of SentencePiece's merging over small vocabularies made in memory, and over Gemma's where it is there.
#include "engine/tokenizer.hpp"

#include "engine/text_stream.hpp"
#include "engine/tokenizer/utf8.hpp"
#include "tests/engine/random_text.hpp"
#include "tests/engine/tiny_gguf.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <functional>

namespace souffleur {
namespace {

using namespace testing;
using ids = std::vector<token_id>;

constexpr std::int32_t control = 3;
constexpr std::int32_t user_defined = 4;
constexpr std::int32_t unused = 5;
constexpr token_id first = 257; ///< id of what is added first

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

token_id byte(char c) { return 1 + static_cast<std::uint8_t>(c); }

/// A text as it comes back: U+2581 stands for a space.
std::string with_spaces(std::string_view text) {
  constexpr std::string_view mark = "\u2581";
  std::string spaced;
  while (!text.empty()) {
    const bool is_mark = text.starts_with(mark);
    spaced += is_mark ? ' ' : text[0];
    text.remove_prefix(is_mark ? mark.size() : 1);
  }
  return spaced;
}

/// Merges by looking through the whole word for the best pair, again and again.
ids naively_merged(const tiny_sentence_pieces& vocabulary, const std::string& word) {
  std::vector<std::string> parts;
  for (const char c : word)
    parts.emplace_back(1, c);
  const auto index_of = [&](const std::string& text) {
    return static_cast<std::size_t>(std::find(vocabulary.tokens.begin(), vocabulary.tokens.end(), text) -
                                    vocabulary.tokens.begin());
  };
  while (true) {
    float best_score = -INFINITY;
    std::size_t best = parts.size();
    for (std::size_t i = 0; i + 1 < parts.size(); ++i)
      if (const auto index = index_of(parts[i] + parts[i + 1]);
          index < vocabulary.tokens.size() && vocabulary.scores[index] > best_score) {
        best_score = vocabulary.scores[index];
        best = i;
      }
    if (best == parts.size())
      break;
    parts[best] += parts[best + 1];
    parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  }
  ids tokens;
  for (const auto& part : parts)
    if (const auto index = index_of(part); index < vocabulary.tokens.size())
      tokens.push_back(static_cast<token_id>(index));
    else
      tokens.push_back(byte(part[0]));
  return tokens;
}

// Planted bugs that this caught: the rightmost of equal scores taken first; a merge applied although a symbol
// had grown; the pair with the left neighbour not looked at again.
RC_GTEST_PROP(SentencePieces, MergeLikeARepeatedSearchForTheHighestScore, ()) {
  tiny_sentence_pieces vocabulary;
  for (const auto& piece : *rc::gen::unique<std::vector<std::string>>(
           rc::gen::container<std::string>(rc::gen::element('a', 'b', 'c'))))
    if (!piece.empty() && piece.size() < 6)
      vocabulary.token(piece, static_cast<float>(*rc::gen::inRange(-5, 1)));
  const auto words = made(vocabulary.file());
  for (int round = 0; round < 20; ++round) {
    const auto word = *rc::gen::container<std::string>(rc::gen::element('a', 'b', 'c', 'd'));
    RC_ASSERT(words->encode(word, false) == naively_merged(vocabulary, word));
  }
}

TEST(SentencePieces, TakeAUnusedPieceApartAgain) {
  tiny_sentence_pieces vocabulary;
  vocabulary.token("a", 0).token("ab", -1).token("abc", -2, unused).token("abcd", -3);
  const auto words = made(vocabulary.file());
  EXPECT_EQ(words->encode("abc", false), (ids{first + 1, byte('c')}));
  EXPECT_EQ(words->encode("abcd", false), (ids{first + 3})) << "merging goes through it";
}

TEST(SentencePieces, SpellACharacterThatIsNoPieceInBytes) {
  tiny_sentence_pieces vocabulary;
  vocabulary.token("é", 0);
  const auto words = made(vocabulary.file());
  EXPECT_EQ(words->encode("é中\n", false),
            (ids{first, byte('\xE4'), byte('\xB8'), byte('\xAD'), byte('\n')}));
  EXPECT_EQ(words->piece(byte('\xE4')), "\xE4");
}

TEST(SentencePieces, TakeAByteWithoutATokenForUnknown) {
  tiny_sentence_pieces vocabulary;
  vocabulary.tokens[static_cast<std::size_t>(byte('x'))] = "other";
  vocabulary.types[static_cast<std::size_t>(byte('x'))] = 1;
  EXPECT_EQ(made(vocabulary.file())->encode("xy", false), (ids{0, byte('y')}));
}

TEST(SentencePieces, PutASpaceBeforeTextWhereTheFileSaysSo) {
  tiny_sentence_pieces vocabulary;
  vocabulary.token("\u2581a", 0).token("a", 0).token("<c>", 0, control);
  auto file = vocabulary.file();
  EXPECT_EQ(made(file)->encode("a<c>a a", true), (ids{first + 1, first + 2, first + 1, first}));
  file.flag("tokenizer.ggml.add_space_prefix", true);
  EXPECT_EQ(made(file)->encode("a<c>a a", true), (ids{first, first + 2, first, first}));
  EXPECT_EQ(made(file)->encode("", true), ids{});
  file.remove("tokenizer.ggml.add_space_prefix");
  EXPECT_EQ(made(file)->encode("a", true), ids{first}) << "by default";
}

TEST(SentencePieces, ReadUserDefinedTokensBeforeTheyMerge) {
  tiny_sentence_pieces vocabulary;
  vocabulary.token("  ", -1000, user_defined).token("\u2581a", 0).token("<c>", 0, control).token("<", 0);
  const auto words = made(vocabulary.file());
  EXPECT_EQ(words->encode("   a", false), (ids{first, first + 1}));
  EXPECT_EQ(words->encode("<c>", false), (ids{first + 3, byte('c'), byte('>')}));
  EXPECT_EQ(words->encode("<c>", true), (ids{first + 2}));
}

TEST(SentencePieces, TakeATextOfAMegabyte) {
  tiny_sentence_pieces vocabulary;
  vocabulary.token("aa", -1).token("aaaa", -2).token("ba", -3);
  const auto words = made(vocabulary.file());
  EXPECT_EQ(words->encode(std::string(1 << 20, 'a'), false), ids(1 << 18, first + 1));
}

TEST(SentencePieces, AddABosByDefault) {
  auto file = tiny_sentence_pieces{}.file();
  EXPECT_FALSE(made(file)->adds_bos()) << "there is none";
  file.id("tokenizer.ggml.bos_token_id", 7);
  EXPECT_TRUE(made(file)->adds_bos());
  file.flag("tokenizer.ggml.add_bos_token", false);
  EXPECT_FALSE(made(file)->adds_bos());
}

tiny_sentence_pieces mixed_pieces() {
  tiny_sentence_pieces vocabulary;
  vocabulary.token("\u2581t", -1).token("er", -2).token("\u2581", -3).token("é", -4).token("e", -5);
  return vocabulary.token("\n\n", 0, user_defined).token("<c>", 0, control).token("t\u2581", -6, unused);
}

std::string shown(const std::shared_ptr<const tokenizer>& words, const ids& tokens) {
  text_stream stream{words, {}};
  std::string text;
  for (const auto token : tokens)
    text += stream.push(token);
  return text + stream.flush();
}

RC_GTEST_PROP(SentencePieces, DecodeWhatTheyEncodedWhateverTheBytes, ()) {
  static const auto words = made(mixed_pieces().file());
  const auto bytes = *broken_text();
  const auto tokens = words->encode(bytes, false);
  RC_ASSERT(words->decode(tokens) == with_spaces(repaired_utf8(bytes)));
  RC_ASSERT(shown(words, tokens) == words->decode(tokens));
}

const std::shared_ptr<const tokenizer>& gemma3() {
  static const auto words = []() -> std::shared_ptr<const tokenizer> {
    const std::string path = std::string{SOUFFLEUR_MODELS} + "/gemma-3-270m.Q4_K_M.gguf";
    if (!std::ifstream{path})
      return nullptr;
    const auto file = gguf_file::open(path);
    return file ? *tokenizer::from_gguf(**file) : nullptr;
  }();
  return words;
}

RC_GTEST_PROP(Gemma3Tokenizer, DecodesWhatItEncoded, ()) {
  if (!gemma3())
    return;
  const auto part = rc::gen::weightedOneOf<std::string>(
      {{8, character()},
       {2, rc::gen::element<std::string>("  ", "\n\n\n", "\t\t", "\u2581", "<start_of_turn>", "<0x0A>",
                                         "<eos>", "the ")}});
  for (int round = 0; round < 20; ++round) {
    const auto text = *joined(part);
    RC_ASSERT(gemma3()->decode(gemma3()->encode(text, true), true) == with_spaces(text));
    const auto plain = gemma3()->encode(text, false);
    RC_ASSERT(gemma3()->decode(plain) == with_spaces(text));
    RC_ASSERT(shown(gemma3(), plain) == with_spaces(text));
  }
}

TEST(SentencePieces, NameTheFieldThatIsWrong) {
  struct wrong_file {
    const char* field;
    const char* why;
    std::function<void(tiny_gguf&)> spoil;
  };
  const std::string prefix = "tokenizer.ggml.";
  const auto no_byte = [](const char* spelling) {
    return [=](tiny_gguf& file) {
      auto pieces = tiny_sentence_pieces{};
      pieces.tokens[1] = spelling;
      file.texts("tokenizer.ggml.tokens", pieces.tokens);
    };
  };
  const std::vector<wrong_file> files = {
      {"scores", "0 numbers for 257", [](auto& file) { file.remove("tokenizer.ggml.scores"); }},
      {"scores", "0 numbers for 257",
       [](auto& file) { file.integers("tokenizer.ggml.scores", std::vector<std::int32_t>(257, 1)); }},
      {"scores", "1 numbers for 257", [](auto& file) { file.numbers("tokenizer.ggml.scores", {1}); }},
      {"scores", "element 0 is not a number",
       [](auto& file) { file.numbers("tokenizer.ggml.scores", std::vector<float>(257, NAN)); }},
      {"tokens", "element 1 is of type byte", no_byte("x")},
      {"tokens", "element 1 is of type byte", no_byte("<0x0G>")},
      {"tokens", "element 1 is of type byte", no_byte("<0x-1>")},
      {"tokens", "not every byte",
       [](auto& file) {
         auto types = tiny_sentence_pieces{}.types;
         types[1] = 1;
         file.integers("tokenizer.ggml.token_type", types).remove("tokenizer.ggml.unknown_token_id");
       }},
      {"token_type", "missing", [](auto& file) { file.remove("tokenizer.ggml.token_type"); }},
      {"unknown_token_id", "257 is no token",
       [](auto& file) { file.id("tokenizer.ggml.unknown_token_id", 257); }},
      {"add_space_prefix", "no boolean", [](auto& file) { file.id("tokenizer.ggml.add_space_prefix", 1); }},
      {"remove_extra_whitespaces", "not supported",
       [](auto& file) { file.flag("tokenizer.ggml.remove_extra_whitespaces", true); }}};
  for (const auto& [field, why, spoil] : files) {
    auto file = tiny_sentence_pieces{}.file();
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
  for (const auto token : (*words)->encode("<c>té  er t\n\n\xFF", true))
    RC_ASSERT(token >= 0 && token < (*words)->vocabulary_size());
}

RC_GTEST_PROP(SentencePieces, SurviveFilesWithFlippedBytes, ()) {
  static const auto intact = mixed_pieces().file().bytes();
  for (int round = 0; round < 20; ++round) {
    auto bytes = intact;
    for (int n = *rc::gen::inRange(1, 6); n > 0; --n)
      bytes[*rc::gen::inRange<std::size_t>(0, bytes.size())] =
          static_cast<std::byte>(*rc::gen::arbitrary<std::uint8_t>());
    use(bytes);
  }
}

RC_GTEST_PROP(SentencePieces, SurviveAnyPiecesScoresAndTypes, ()) {
  const auto word = joined(rc::gen::element<std::string>("t", "e", "r", "\u2581", " ", "<", "é", "\xFF", ""));
  tiny_sentence_pieces vocabulary;
  for (const auto& spelling : *rc::gen::container<std::vector<std::string>>(word))
    vocabulary.token(spelling, *rc::gen::element(0.0F, -1.0F, INFINITY, -INFINITY, 1e38F),
                     *rc::gen::inRange(0, 6));
  use(vocabulary.file().bytes());
}

} // namespace
} // namespace souffleur
