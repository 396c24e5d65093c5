#include "engine/embedding/bert_words.hpp"

#include <utf8proc.h>

namespace souffleur {

namespace {

bool is_space(std::int32_t c, utf8proc_category_t category) {
  return c == '\t' || c == '\n' || c == '\r' || category == UTF8PROC_CATEGORY_ZS ||
         category == UTF8PROC_CATEGORY_ZL || category == UTF8PROC_CATEGORY_ZP;
}

/// Also what is not assigned.
bool is_control(utf8proc_category_t category) {
  return category == UTF8PROC_CATEGORY_CC || category == UTF8PROC_CATEGORY_CF ||
         category == UTF8PROC_CATEGORY_CO || category == UTF8PROC_CATEGORY_CS;
}

bool is_punctuation(std::int32_t c) {
  if (c < 0x80)
    return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') ||
           (c >= '{' && c <= '~');
  const auto category = utf8proc_category(c);
  return category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO;
}

/// The blocks of unified and compatibility ideographs that BERT's authors list.
bool is_cjk(std::int32_t c) {
  constexpr struct {
    std::int32_t first, last;
  } blocks[] = {{0x4E00, 0x9FFF},   {0x3400, 0x4DBF},   {0x20000, 0x2A6DF}, {0x2A700, 0x2B73F},
                {0x2B740, 0x2B81F}, {0x2B820, 0x2CEAF}, {0xF900, 0xFAFF},   {0x2F800, 0x2FA1F}};
  for (const auto& block : blocks)
    if (block.first <= c && c <= block.last)
      return true;
  return false;
}

void append_utf8(std::string& text, std::int32_t c) {
  utf8proc_uint8_t bytes[4];
  const auto n = utf8proc_encode_char(c, bytes);
  text.append(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(n));
}

} // namespace

void bert_word_splitter::add(std::int32_t c) {
  const auto category = utf8proc_category(c);
  if (is_space(c, category)) {
    end_word();
    return;
  }
  if (c == 0xFFFD || is_control(category))
    return;
  if (is_cjk(c))
    end_word();
  constexpr int most_decomposed = 8; // U+FB2C and its like have four, none has more
  utf8proc_int32_t parts[most_decomposed];
  int last_boundary = 0;
  const auto n = utf8proc_decompose_char(c, parts, most_decomposed,
                                         static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE),
                                         &last_boundary);
  for (int i = 0; i < n && i < most_decomposed; ++i)
    add_decomposed(parts[i]);
  if (is_cjk(c))
    end_word();
}

void bert_word_splitter::add_decomposed(std::int32_t c) {
  if (utf8proc_category(c) == UTF8PROC_CATEGORY_MN)
    return;
  c = utf8proc_tolower(c);
  const bool is_alone = is_punctuation(c);
  if (is_alone)
    end_word();
  if (word_.n_characters <= max_word_characters) {
    append_utf8(word_.text, c);
    ++word_.n_characters;
  }
  if (is_alone)
    end_word();
}

void bert_word_splitter::end_word() {
  if (word_.n_characters > 0)
    words_.push_back(std::exchange(word_, {}));
}

} // namespace souffleur
