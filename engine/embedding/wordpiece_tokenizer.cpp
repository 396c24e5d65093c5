#include "engine/embedding/wordpiece_tokenizer.hpp"

#include "engine/embedding/bert_words.hpp"
#include "engine/tokenizer/utf8.hpp"

#include <algorithm>
#include <utf8proc.h>

namespace souffleur {

namespace {

constexpr std::string_view continuation_mark = "##";
constexpr std::string_view special_names[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};

} // namespace

result<std::shared_ptr<const wordpiece_tokenizer>>
wordpiece_tokenizer::from_vocabulary(std::string_view vocabulary) {
  std::shared_ptr<wordpiece_tokenizer> made{new wordpiece_tokenizer};
  for (token_id id = 0; !vocabulary.empty(); ++id) {
    const auto end = std::min(vocabulary.find('\n'), vocabulary.size());
    auto piece = vocabulary.substr(0, end);
    vocabulary.remove_prefix(std::min(end + 1, vocabulary.size()));
    if (piece.ends_with('\r'))
      piece.remove_suffix(1);
    const bool continues = piece.starts_with(continuation_mark) && piece.size() > continuation_mark.size();
    const auto text = continues ? piece.substr(continuation_mark.size()) : piece;
    auto& table = continues ? made->continuations_ : made->beginnings_;
    if (!table.emplace(text, id).second)
      return failure{"line " + std::to_string(id + 1) + ": \"" + std::string{piece} + "\" stands twice"};
    made->longest_piece_bytes_ = std::max(made->longest_piece_bytes_, text.size());
    made->n_pieces_ = id + 1;
  }
  for (const auto name : special_names) {
    const auto found = made->beginnings_.find(name);
    if (found == made->beginnings_.end())
      return failure{"the vocabulary has no " + std::string{name}};
    made->special_.push_back({std::string{name}, found->second});
  }
  made->unknown_ = made->beginnings_.at("[UNK]");
  made->cls_ = made->beginnings_.at("[CLS]");
  made->sep_ = made->beginnings_.at("[SEP]");
  return std::shared_ptr<const wordpiece_tokenizer>{std::move(made)};
}

wordpieces wordpiece_tokenizer::encode(std::string_view text, std::size_t max_ids) const {
  wordpieces found{{cls_}, false};
  const std::size_t most = max_ids - 1; // before [SEP]
  bert_word_splitter splitter;
  const auto append_words = [&] {
    for (const auto& word : splitter.take())
      if (word.n_characters > max_word_characters)
        found.ids.push_back(unknown_);
      else
        append_word(word.text, found.ids);
  };
  while (!text.empty() && found.ids.size() <= most) {
    if (const auto* special = special_at(text)) {
      splitter.end_word();
      append_words();
      found.ids.push_back(special->id);
      text.remove_prefix(special->text.size());
      continue;
    }
    const auto part = first_utf8_part(text);
    if (part.state == utf8_state::complete) {
      utf8proc_int32_t character = 0;
      utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                       static_cast<utf8proc_ssize_t>(part.n_bytes), &character);
      splitter.add(character);
      append_words();
    }
    text.remove_prefix(part.n_bytes);
  }
  splitter.end_word();
  append_words();
  if (found.ids.size() > most) {
    found.is_truncated = true;
    found.ids.resize(most);
  }
  found.ids.push_back(sep_);
  return found;
}

/// The longest piece first, then the longest of what is left, and so on.
void wordpiece_tokenizer::append_word(std::string_view word, std::vector<token_id>& ids) const {
  const auto n_before = ids.size();
  const auto* table = &beginnings_;
  while (!word.empty()) {
    auto n = std::min(word.size(), longest_piece_bytes_);
    auto piece = table->end();
    while (n > 0 && (piece = table->find(word.substr(0, n))) == table->end())
      --n;
    if (piece == table->end()) {
      ids.resize(n_before);
      ids.push_back(unknown_);
      return;
    }
    ids.push_back(piece->second);
    word.remove_prefix(n);
    table = &continuations_;
  }
}

const wordpiece_tokenizer::special_token* wordpiece_tokenizer::special_at(std::string_view text) const {
  if (text.front() != '[')
    return nullptr;
  for (const auto& special : special_)
    if (text.starts_with(special.text))
      return &special;
  return nullptr;
}

} // namespace souffleur
