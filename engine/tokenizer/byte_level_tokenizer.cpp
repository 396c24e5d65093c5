// Byte-level BPE: words of a pre-tokenizer, merged by the ranks of `tokenizer.ggml.merges`.
#include "engine/tokenizer/byte_alphabet.hpp"
#include "engine/tokenizer/byte_pairs.hpp"
#include "engine/tokenizer/pre_tokenizer.hpp"
#include "engine/tokenizer/vocabulary_tokenizer.hpp"

#include <limits>

namespace souffleur {

namespace {

constexpr std::string_view merges_key = "tokenizer.ggml.merges";

/// What bytes may become by merging, by its spelling.
using mergeable_tokens = std::unordered_map<std::string_view, token_id>;

mergeable_tokens mergeable_of(const spelled_tokens& tokens) {
  mergeable_tokens mergeable;
  mergeable.reserve(tokens.spellings.size());
  for (std::size_t i = 0; i < tokens.spellings.size(); ++i)
    if (!stands_as_spelled(tokens.kinds[i]) && !tokens.spellings[i].empty())
      mergeable.emplace(tokens.spellings[i], static_cast<token_id>(i));
  return mergeable;
}

/// A merge of unknown pieces, or into one, can never apply. It keeps its rank and is otherwise ignored.
void add_merge(byte_pairs& pairs, const mergeable_tokens& mergeable, std::string_view left,
               std::string_view right, std::int32_t rank) {
  const auto a = mergeable.find(left);
  const auto b = mergeable.find(right);
  const auto both = mergeable.find(std::string{left}.append(right));
  if (a != mergeable.end() && b != mergeable.end() && both != mergeable.end())
    pairs.add_merge(a->second, b->second, rank, both->second);
}

result<byte_pairs> read_pairs(const gguf_file& file, const mergeable_tokens& mergeable) {
  const auto* merges = file.find_strings(merges_key);
  if (!merges)
    return wrong_value(merges_key, "is missing or no array of strings");
  if (merges->size() > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max()))
    return wrong_value(merges_key,
                       "has " + std::to_string(merges->size()) + " elements, more than ranks can count");
  byte_pairs pairs;
  for (int byte = 0; byte < 256; ++byte)
    if (const auto found = mergeable.find(spelling_of_byte(static_cast<std::uint8_t>(byte)));
        found != mergeable.end())
      pairs.set_byte(static_cast<std::uint8_t>(byte), found->second);
  pairs.reserve(merges->size());
  for (std::size_t i = 0; i < merges->size(); ++i) {
    const std::string_view merge = (*merges)[i];
    const auto space = merge.find(' ', 1);
    if (space == std::string_view::npos || space + 1 == merge.size())
      return wrong_element(merges_key, i, "is no pair: \"" + std::string{merge} + "\"");
    add_merge(pairs, mergeable, merge.substr(0, space), merge.substr(space + 1),
              static_cast<std::int32_t>(i));
  }
  return pairs;
}

class byte_level_tokenizer final : public vocabulary_tokenizer {
public:
  byte_level_tokenizer(vocabulary words, pre_tokenizer splitter, byte_pairs pairs,
                       const mergeable_tokens& mergeable)
      : vocabulary_tokenizer(std::move(words)), splitter_(std::move(splitter)), pairs_(std::move(pairs)) {
    if (splitter_.prefers_whole_words())
      for (const auto& [spelling, token] : mergeable)
        whole_words_.emplace(piece(token), token);
  }

private:
  void append_text(std::string_view text, std::vector<token_id>& tokens) const override {
    const auto normal = splitter_.normalised(text);
    std::vector<std::string_view> parts;
    splitter_.split(normal, parts);
    word_merger merger{pairs_};
    for (const auto part : parts)
      if (const auto whole = whole_words_.find(part); whole != whole_words_.end())
        tokens.push_back(whole->second);
      else
        merger.append(part, tokens);
  }

  pre_tokenizer splitter_;
  byte_pairs pairs_;
  /// Tokens that merging may yield, by their bytes. Keys point into the vocabulary's pieces.
  std::unordered_map<std::string_view, token_id> whole_words_;
};

} // namespace

result<std::shared_ptr<const tokenizer>> read_byte_level_tokenizer(const gguf_file& file) {
  const auto* pre = file.find_string("tokenizer.ggml.pre");
  if (!pre)
    return failure{"tokenizer.ggml.pre: is missing or no string"};
  auto splitter = pre_tokenizer::named(*pre);
  if (!splitter)
    return failure{"tokenizer.ggml.pre: " + splitter.error()};
  const auto tokens = read_spelled_tokens(file);
  if (!tokens)
    return failure{tokens.error()};
  auto words = read_vocabulary(
      file, *tokens, [](std::string_view spelling, token_kind) { return bytes_of_spelling(spelling); },
      splitter->adds_bos_by_default());
  if (!words)
    return failure{words.error()};
  const auto mergeable = mergeable_of(*tokens);
  auto pairs = read_pairs(file, mergeable);
  if (!pairs)
    return failure{pairs.error()};
  return std::shared_ptr<const tokenizer>{std::make_shared<byte_level_tokenizer>(
      std::move(*words), std::move(*splitter), std::move(*pairs), mergeable)};
}

} // namespace souffleur
