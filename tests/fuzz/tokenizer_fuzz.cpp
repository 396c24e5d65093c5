// Texts to tokens, with vocabularies that are as they should be.
#include "engine/embedding/wordpiece_tokenizer.hpp"
#include "engine/text_stream.hpp"
#include "engine/tokenizer.hpp"
#include "tests/engine/tiny_gguf.hpp"
#include "tests/fuzz/target.hpp"

#include <boost/json/parse.hpp>

namespace souffleur::fuzz {
namespace {

namespace json = boost::json;

std::shared_ptr<const tokenizer> tokenizer_of(const testing::tiny_gguf& file) {
  const auto bytes = file.bytes();
  return *tokenizer::from_gguf(**gguf_file::parse(bytes));
}

std::shared_ptr<const tokenizer> byte_pairs(const std::string& pre) {
  auto words =
      testing::tiny_vocabulary{}.merged("l", "l").merged("a", "b").merged("ab", "ab").merged("Ġ", "a");
  words.merged("1", "2").merged("Ġ", "Ġ").merged("ĠĠ", "ĠĠ").merged("Ã", "©");
  words.token("<|im_start|>", 3).token("<|im_end|>", 3).token("<tool>", 4);
  return tokenizer_of(words.file(pre));
}

std::string valid_utf8(std::string_view bytes) {
  incremental_detokenizer detokenizer;
  auto text = detokenizer.push(bytes);
  return text + detokenizer.flush();
}

void check(const tokenizer& words, std::string_view input, bool parse_special, const std::string& expected) {
  const auto tokens = words.encode(input, parse_special);
  for (const auto token : tokens)
    require(token >= 0 && token < words.vocabulary_size(), "every token is of the vocabulary");
  require(words.decode(tokens, true) == expected, "tokens are the text");
}

void take_byte_pairs(std::string_view input) {
  static const std::vector all = {byte_pairs("gpt-2"), byte_pairs("qwen2"), byte_pairs("llama-bpe"),
                                  byte_pairs("smollm")};
  constexpr std::size_t qwen2 = 1;
  const auto which = take_choice(input, all.size());
  const auto& words = *all[which];
  const auto parse_special = take_choice(input, 2) == 1;
  const auto text = valid_utf8(input);
  // Qwen's text is normalised (NFC): what came out of that stays as it is.
  const auto expected = which == qwen2 ? words.decode(words.encode(text, parse_special), true) : text;
  check(words, which == qwen2 ? expected : input, parse_special, expected);
}

void take_sentence_pieces(std::string_view input) {
  static const auto words = [] {
    auto pieces =
        testing::tiny_sentence_pieces{}.token("▁", -1).token("▁a", -2).token("ab", -3).token("aba", -3.5F);
    pieces.token("abab", -1).token("é", -2).token("▁▁", -4).token("<end>", 0, 3).token("<tool>", 0, 4);
    return tokenizer_of(pieces.file());
  }();
  const auto parse_special = take_choice(input, 2) == 1;
  auto expected = valid_utf8(input);
  constexpr std::string_view mark = "▁";
  for (auto at = expected.find(mark); at != std::string::npos; at = expected.find(mark, at + 1))
    expected.replace(at, mark.size(), " ");
  check(*words, input, parse_special, expected);
}

/// The text after the first zero byte; before it, the vocabulary.
void take_word_pieces(std::string_view input) {
  const auto end = input.find('\0');
  const auto words = wordpiece_tokenizer::from_vocabulary(input.substr(0, end));
  if (!words || end == std::string_view::npos)
    return;
  for (const std::size_t max_ids : {2, 5, 512}) {
    const auto pieces = (*words)->encode(input.substr(end + 1), max_ids);
    require(pieces.ids.size() <= max_ids, "there are at most as many as were asked for");
    for (const auto id : pieces.ids)
      require(id >= 0 && id < (*words)->vocabulary_size(), "every piece is of the vocabulary");
  }
}

std::vector<std::string> texts(const std::string& before) {
  std::vector<std::string> seeds;
  for (const auto& line : golden_lines("tokenizer_smollm2.jsonl", 400))
    if (const auto text = json::parse(line).at("text").as_string(); text.size() < 400 && seeds.size() < 120)
      seeds.push_back(before + std::string{text});
  seeds.push_back(before + "<|im_start|>user\n<tool><end>abab 12 ▁▁");
  return seeds;
}

std::vector<std::string> two_choices() { return texts(std::string(2, '\0')); }
std::vector<std::string> one_choice() { return texts(std::string(1, '\0')); }
std::vector<std::string> word_piece_seeds() {
  std::string vocabulary;
  for (const auto* piece :
       {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "a", "##b", "##ab", "中", "1", "!", "##ing"})
    vocabulary += std::string{piece} + "\n";
  return texts(vocabulary + '\0');
}

const registered byte_pairs_target{{"tokenizer-bpe", take_byte_pairs, two_choices}};
const registered sentence_pieces_target{{"tokenizer-sentencepiece", take_sentence_pieces, one_choice}};
const registered word_pieces_target{{"tokenizer-wordpiece", take_word_pieces, word_piece_seeds}};

} // namespace
} // namespace souffleur::fuzz
