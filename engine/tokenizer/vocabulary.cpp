#include "engine/tokenizer/vocabulary.hpp"

#include <algorithm>
#include <array>
#include <limits>

namespace souffleur {

namespace {

constexpr std::string_view tokens_key = "tokenizer.ggml.tokens";
constexpr std::string_view types_key = "tokenizer.ggml.token_type";
constexpr std::string_view add_bos_key = "tokenizer.ggml.add_bos_token";

/// Spellings by which models mark the end of a turn, whatever the file's own ids say.
constexpr std::array<std::string_view, 6> end_spellings = {"<|im_end|>", "<|endoftext|>", "<|eot_id|>",
                                                           "<|end|>",    "<end_of_turn>", "</s>"};

result<std::vector<token_kind>> read_kinds(const gguf_file& file, std::size_t n_tokens) {
  const auto types = file.integers_or_empty(types_key);
  if (types.empty())
    return wrong_value(types_key, "is missing, empty or no array of integers");
  if (types.size() != n_tokens)
    return wrong_value(types_key, "has " + std::to_string(types.size()) + " elements for " +
                                      std::to_string(n_tokens) + " tokens");
  std::vector<token_kind> kinds;
  for (std::size_t i = 0; i < types.size(); ++i) {
    if (types[i] < 0 || types[i] > static_cast<int>(token_kind::byte))
      return wrong_element(types_key, i, "is " + std::to_string(types[i]) + "; types are 0 to 6");
    kinds.push_back(static_cast<token_kind>(types[i]));
  }
  return kinds;
}

/// Fills a vocabulary step by step; the first failure ends it.
class vocabulary_reader {
public:
  vocabulary_reader(const gguf_file& file, const spelled_tokens& tokens) : file_(file), tokens_(tokens) {}

  result<vocabulary> read(bytes_of_token bytes, bool adds_bos_by_default) {
    spell_out(bytes);
    auto failed = read_ends();
    if (!failed)
      failed = read_bos(adds_bos_by_default);
    if (!failed)
      failed = read_id("tokenizer.ggml.unknown_token_id", made_.unknown);
    if (failed)
      return std::move(*failed);
    return std::move(made_);
  }

private:
  using failed = std::optional<failure>;

  void spell_out(bytes_of_token bytes) {
    made_.kinds = tokens_.kinds;
    made_.pieces.reserve(tokens_.spellings.size());
    for (std::size_t i = 0; i < tokens_.spellings.size(); ++i) {
      const auto& spelling = tokens_.spellings[i];
      const auto kind = tokens_.kinds[i];
      made_.pieces.push_back(stands_as_spelled(kind) ? spelling : bytes(spelling, kind));
      if (stands_as_spelled(kind))
        made_.specials.add(spelling, static_cast<token_id>(i), is_control_kind(kind));
    }
  }

  /// Leaves `token` empty if the key is absent.
  failed read_id(std::string_view key, std::optional<token_id>& token) const {
    if (!file_.metadata().contains(key))
      return std::nullopt;
    const auto value = file_.integer(key);
    if (!value)
      return failure{value.error()};
    if (*value < 0 || static_cast<std::size_t>(*value) >= made_.pieces.size())
      return wrong_value(key, std::to_string(*value) + " is no token; the vocabulary has " +
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
      if (const auto found = tokens_.ids.find(spelling);
          found != tokens_.ids.end() &&
          made_.kinds[static_cast<std::size_t>(found->second)] == token_kind::control)
        add_end(found->second);
    return std::nullopt;
  }

  failed read_bos(bool adds_bos_by_default) {
    if (auto why = read_id("tokenizer.ggml.bos_token_id", made_.bos))
      return why;
    const auto given = file_.metadata().find(add_bos_key);
    const bool is_given = given != file_.metadata().end();
    if (is_given && !std::holds_alternative<bool>(given->second))
      return wrong_value(add_bos_key, "is no boolean");
    made_.adds_bos = is_given ? std::get<bool>(given->second) : adds_bos_by_default && made_.bos.has_value();
    if (made_.adds_bos && !made_.bos)
      return wrong_value(add_bos_key, "is true, but tokenizer.ggml.bos_token_id is missing");
    return std::nullopt;
  }

  const gguf_file& file_;
  const spelled_tokens& tokens_;
  vocabulary made_;
};

} // namespace

failure wrong_value(std::string_view key, const std::string& why) { return {std::string{key} + ": " + why}; }

failure wrong_element(std::string_view key, std::size_t index, const std::string& why) {
  return wrong_value(key, "element " + std::to_string(index) + " " + why);
}

result<spelled_tokens> read_spelled_tokens(const gguf_file& file) {
  const auto* spellings = file.find_strings(tokens_key);
  if (!spellings || spellings->empty())
    return wrong_value(tokens_key, "is missing, empty or no array of strings");
  if (spellings->size() > static_cast<std::size_t>(std::numeric_limits<token_id>::max()))
    return wrong_value(tokens_key,
                       "has " + std::to_string(spellings->size()) + " elements, more than ids can count");
  auto kinds = read_kinds(file, spellings->size());
  if (!kinds)
    return failure{kinds.error()};
  spelled_tokens tokens{*spellings, std::move(*kinds), {}};
  tokens.ids.reserve(spellings->size());
  for (std::size_t i = 0; i < spellings->size(); ++i) {
    const auto& spelling = (*spellings)[i];
    const auto [same, is_new] = tokens.ids.emplace(spelling, static_cast<token_id>(i));
    if (!is_new && !spelling.empty())
      return wrong_element(
          tokens_key, i, "is spelled as element " + std::to_string(same->second) + ": \"" + spelling + "\"");
  }
  return tokens;
}

result<vocabulary> read_vocabulary(const gguf_file& file, const spelled_tokens& tokens, bytes_of_token bytes,
                                   bool adds_bos_by_default) {
  return vocabulary_reader{file, tokens}.read(bytes, adds_bos_by_default);
}

} // namespace souffleur
