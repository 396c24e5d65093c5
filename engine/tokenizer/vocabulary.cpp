#include "engine/tokenizer/vocabulary.hpp"

#include "engine/tokenizer/byte_alphabet.hpp"

#include <algorithm>
#include <array>
#include <limits>

namespace souffleur {

namespace {

constexpr std::string_view tokens_key = "tokenizer.ggml.tokens";
constexpr std::string_view types_key = "tokenizer.ggml.token_type";
constexpr std::string_view merges_key = "tokenizer.ggml.merges";
constexpr std::string_view add_bos_key = "tokenizer.ggml.add_bos_token";

/// Spellings by which models mark the end of a turn, whatever the file's own ids say.
constexpr std::array<std::string_view, 6> end_spellings = {"<|im_end|>", "<|endoftext|>", "<|eot_id|>",
                                                           "<|end|>",    "<end_of_turn>", "</s>"};

failure wrong(std::string_view key, const std::string& why) { return {std::string{key} + ": " + why}; }

std::string element(std::size_t index) { return "element " + std::to_string(index) + " "; }

/// Fills a vocabulary step by step; the first failure ends it.
class vocabulary_reader {
public:
  explicit vocabulary_reader(const gguf_file& file) : file_(file) {}

  result<vocabulary> read(bool with_whole_words, bool adds_bos_by_default) {
    auto failed = read_tokens();
    if (!failed)
      failed = read_kinds();
    if (!failed)
      failed = spell_out();
    if (!failed)
      failed = read_merges();
    if (!failed)
      failed = read_ends();
    if (!failed)
      failed = read_bos(adds_bos_by_default);
    if (failed)
      return std::move(*failed);
    if (with_whole_words)
      for (const auto& [spelling, token] : mergeable_)
        made_.whole_words.emplace(made_.pieces[static_cast<std::size_t>(token)], token);
    return std::move(made_);
  }

private:
  using failed = std::optional<failure>;

  failed read_tokens() {
    spellings_ = file_.find_strings(tokens_key);
    if (!spellings_ || spellings_->empty())
      return wrong(tokens_key, "is missing, empty or no array of strings");
    if (spellings_->size() > static_cast<std::size_t>(std::numeric_limits<token_id>::max()))
      return wrong(tokens_key,
                   "has " + std::to_string(spellings_->size()) + " elements, more than ids can count");
    return std::nullopt;
  }

  failed read_kinds() {
    const auto types = file_.integers_or_empty(types_key);
    if (types.empty())
      return wrong(types_key, "is missing, empty or no array of integers");
    if (types.size() != spellings_->size())
      return wrong(types_key, "has " + std::to_string(types.size()) + " elements for " +
                                  std::to_string(spellings_->size()) + " tokens");
    for (std::size_t i = 0; i < types.size(); ++i) {
      if (types[i] < 0 || types[i] > static_cast<int>(token_kind::byte))
        return wrong(types_key, element(i) + "is " + std::to_string(types[i]) + "; types are 0 to 6");
      made_.kinds.push_back(static_cast<token_kind>(types[i]));
    }
    return std::nullopt;
  }

  failed spell_out() {
    ids_.reserve(spellings_->size());
    mergeable_.reserve(spellings_->size());
    for (std::size_t i = 0; i < spellings_->size(); ++i) {
      const auto& spelling = (*spellings_)[i];
      const auto token = static_cast<token_id>(i);
      const auto kind = made_.kinds[i];
      const auto [same, is_new] = ids_.emplace(spelling, token);
      if (!is_new && !spelling.empty())
        return wrong(tokens_key, element(i) + "is spelled as element " + std::to_string(same->second) +
                                     ": \"" + spelling + "\"");
      const bool stands_as_spelled = is_control_kind(kind) || kind == token_kind::user_defined;
      made_.pieces.push_back(stands_as_spelled ? spelling : bytes_of_spelling(spelling));
      if (stands_as_spelled)
        made_.specials.add(spelling, token, is_control_kind(kind));
      else if (!spelling.empty())
        mergeable_.emplace(spelling, token);
    }
    for (int byte = 0; byte < 256; ++byte)
      if (const auto found = mergeable_.find(spelling_of_byte(static_cast<std::uint8_t>(byte)));
          found != mergeable_.end())
        made_.pairs.set_byte(static_cast<std::uint8_t>(byte), found->second);
    return std::nullopt;
  }

  failed read_merges() {
    const auto* merges = file_.find_strings(merges_key);
    if (!merges)
      return wrong(merges_key, "is missing or no array of strings");
    if (merges->size() > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max()))
      return wrong(merges_key,
                   "has " + std::to_string(merges->size()) + " elements, more than ranks can count");
    made_.pairs.reserve(merges->size());
    for (std::size_t i = 0; i < merges->size(); ++i) {
      const std::string_view merge = (*merges)[i];
      const auto space = merge.find(' ', 1);
      if (space == std::string_view::npos || space + 1 == merge.size())
        return wrong(merges_key, element(i) + "is no pair: \"" + std::string{merge} + "\"");
      add_merge(merge.substr(0, space), merge.substr(space + 1), static_cast<std::int32_t>(i));
    }
    return std::nullopt;
  }

  /// A merge of unknown pieces, or into one, can never apply. It keeps its rank and is otherwise ignored.
  void add_merge(std::string_view left, std::string_view right, std::int32_t rank) {
    const auto a = mergeable_.find(left);
    const auto b = mergeable_.find(right);
    const auto both = mergeable_.find(std::string{left}.append(right));
    if (a != mergeable_.end() && b != mergeable_.end() && both != mergeable_.end())
      made_.pairs.add_merge(a->second, b->second, rank, both->second);
  }

  /// Leaves `token` empty if the key is absent.
  failed read_id(std::string_view key, std::optional<token_id>& token) const {
    if (!file_.metadata().contains(key))
      return std::nullopt;
    const auto value = file_.integer(key);
    if (!value)
      return failure{value.error()};
    if (*value < 0 || static_cast<std::size_t>(*value) >= made_.pieces.size())
      return wrong(key, std::to_string(*value) + " is no token; the vocabulary has " +
                            std::to_string(made_.pieces.size()));
    token = static_cast<token_id>(*value);
    return std::nullopt;
  }

  void add_end(token_id token) {
    if (std::find(made_.ends.begin(), made_.ends.end(), token) == made_.ends.end())
      made_.ends.push_back(token);
  }

  failed read_ends() {
    for (const std::string_view key : {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id"}) {
      std::optional<token_id> token;
      if (auto why = read_id(key, token))
        return why;
      if (token)
        add_end(*token);
    }
    for (const auto spelling : end_spellings)
      if (const auto found = ids_.find(spelling);
          found != ids_.end() && made_.kinds[static_cast<std::size_t>(found->second)] == token_kind::control)
        add_end(found->second);
    return std::nullopt;
  }

  failed read_bos(bool adds_bos_by_default) {
    if (auto why = read_id("tokenizer.ggml.bos_token_id", made_.bos))
      return why;
    const auto given = file_.metadata().find(add_bos_key);
    const bool is_given = given != file_.metadata().end();
    if (is_given && !std::holds_alternative<bool>(given->second))
      return wrong(add_bos_key, "is no boolean");
    made_.adds_bos = is_given ? std::get<bool>(given->second) : adds_bos_by_default && made_.bos.has_value();
    if (made_.adds_bos && !made_.bos)
      return wrong(add_bos_key, "is true, but tokenizer.ggml.bos_token_id is missing");
    return std::nullopt;
  }

  const gguf_file& file_;
  const std::vector<std::string>* spellings_ = nullptr;
  std::unordered_map<std::string_view, token_id> ids_;
  std::unordered_map<std::string_view, token_id> mergeable_; ///< what bytes may become by merging
  vocabulary made_;
};

} // namespace

result<vocabulary> read_vocabulary(const gguf_file& file, bool with_whole_words, bool adds_bos_by_default) {
  return vocabulary_reader{file}.read(with_whole_words, adds_bos_by_default);
}

} // namespace souffleur
