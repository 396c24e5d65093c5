// SentencePiece's BPE. In a file's spellings U+2581 stands for a space and <0x0A> for a byte; here pieces are
// kept as their bytes, so U+2581 in a text is taken for the space that it stands for.
#include "engine/tokenizer/scored_pieces.hpp"
#include "engine/tokenizer/vocabulary_tokenizer.hpp"

#include <charconv>
#include <cmath>

namespace souffleur {

namespace {

constexpr std::string_view tokens_key = "tokenizer.ggml.tokens";
constexpr std::string_view scores_key = "tokenizer.ggml.scores";
constexpr std::string_view space_key = "tokenizer.ggml.add_space_prefix";
constexpr std::string_view trim_key = "tokenizer.ggml.remove_extra_whitespaces";
constexpr std::string_view space_mark = "\u2581";

/// `spaced`, then the text with spaces for their marks.
std::string with_spaces(std::string_view text, std::string spaced = "") {
  spaced.reserve(spaced.size() + text.size());
  for (auto at = text.find(space_mark); at != std::string_view::npos; at = text.find(space_mark)) {
    spaced.append(text.substr(0, at)) += ' ';
    text.remove_prefix(at + space_mark.size());
  }
  spaced.append(text);
  return spaced;
}

/// The byte that <0x0A> spells; -1 if `spelling` is not so.
int byte_of(std::string_view spelling) {
  if (spelling.size() != 6 || !spelling.starts_with("<0x") || spelling.back() != '>')
    return -1;
  int byte = -1;
  const auto [end, error] = std::from_chars(spelling.data() + 3, spelling.data() + 5, byte, 16);
  return error == std::errc{} && end == spelling.data() + 5 ? byte : -1;
}

/// REQUIRES: a token of kind byte spells one.
std::string bytes_of(std::string_view spelling, token_kind kind) {
  return kind == token_kind::byte ? std::string{static_cast<char>(byte_of(spelling))} : with_spaces(spelling);
}

class sentence_piece_tokenizer final : public vocabulary_tokenizer {
public:
  sentence_piece_tokenizer(vocabulary words, scored_pieces pieces, bool adds_space)
      : vocabulary_tokenizer(std::move(words)), pieces_(std::move(pieces)), adds_space_(adds_space) {}

private:
  void append_text(std::string_view text, std::vector<token_id>& tokens) const override {
    piece_merger{pieces_}.append(with_spaces(text, adds_space_ ? " " : ""), tokens);
  }

  scored_pieces pieces_; ///< points into the vocabulary's pieces
  bool adds_space_;
};

/// Takes a file apart; the first failure ends it.
class sentence_piece_reader {
public:
  explicit sentence_piece_reader(const gguf_file& file) : file_(file) {}

  result<std::shared_ptr<const tokenizer>> read() {
    auto tokens = read_spelled_tokens(file_);
    if (!tokens)
      return failure{tokens.error()};
    if (auto why = check_bytes(*tokens))
      return *why;
    auto words = read_vocabulary(file_, *tokens, bytes_of, true);
    if (!words)
      return failure{words.error()};
    if (auto why = read_pieces(*tokens, *words))
      return *why;
    bool adds_space = true;
    bool trims = false;
    for (const auto& [key, value] : {std::pair{space_key, &adds_space}, std::pair{trim_key, &trims}})
      if (auto why = read_flag(key, *value))
        return *why;
    if (trims)
      return wrong_value(trim_key, "is true, which is not supported");
    return std::shared_ptr<const tokenizer>{
        std::make_shared<sentence_piece_tokenizer>(std::move(*words), std::move(pieces_), adds_space)};
  }

private:
  using failed = std::optional<failure>;

  failed check_bytes(const spelled_tokens& tokens) const {
    for (std::size_t i = 0; i < tokens.kinds.size(); ++i)
      if (tokens.kinds[i] == token_kind::byte && byte_of(tokens.spellings[i]) < 0)
        return wrong_element(tokens_key, i,
                             "is of type byte, but spells none: \"" + tokens.spellings[i] + "\"");
    return std::nullopt;
  }

  failed read_pieces(const spelled_tokens& tokens, const vocabulary& words) {
    const auto scores = file_.numbers_or_empty(scores_key);
    if (scores.size() != tokens.kinds.size())
      return wrong_value(scores_key, "has " + std::to_string(scores.size()) + " numbers for " +
                                         std::to_string(tokens.kinds.size()) + " tokens");
    pieces_.reserve(scores.size());
    for (std::size_t i = 0; i < scores.size(); ++i) {
      if (std::isnan(scores[i]))
        return wrong_element(scores_key, i, "is not a number");
      const auto token = static_cast<token_id>(i);
      const auto kind = tokens.kinds[i];
      if (kind == token_kind::byte)
        pieces_.set_byte(static_cast<std::uint8_t>(byte_of(tokens.spellings[i])), token);
      else if (!stands_as_spelled(kind) && tokens.spellings[i].find(' ') == std::string::npos)
        pieces_.add(words.pieces[i], {token, static_cast<float>(scores[i]), kind == token_kind::unused});
    }
    pieces_.set_unknown(words.unknown);
    if (!words.unknown && !pieces_.has_all_bytes())
      return wrong_value(tokens_key,
                         "not every byte has a token, and tokenizer.ggml.unknown_token_id is missing");
    return std::nullopt;
  }

  failed read_flag(std::string_view key, bool& value) const {
    const auto given = file_.metadata().find(key);
    if (given == file_.metadata().end())
      return std::nullopt;
    const auto* flag = std::get_if<bool>(&given->second);
    if (!flag)
      return wrong_value(key, "is no boolean");
    value = *flag;
    return std::nullopt;
  }

  const gguf_file& file_;
  scored_pieces pieces_;
};

} // namespace

result<std::shared_ptr<const tokenizer>> read_sentence_piece_tokenizer(const gguf_file& file) {
  return sentence_piece_reader{file}.read();
}

} // namespace souffleur
