#include "policies/guards/words.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <unordered_map>
#include <unordered_set>

namespace souffleur::guards {

namespace {

using byte = unsigned char;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
bool is_letter(char c) { return is_upper(c) || (c >= 'a' && c <= 'z') || static_cast<byte>(c) >= 0x80; }

/// An accented capital of Latin-1 in UTF-8 at the beginning of `text`.
bool is_accented_capital(std::string_view text) {
  return text.size() >= 2 && static_cast<byte>(text[0]) == 0xC3 && static_cast<byte>(text[1]) >= 0x80 &&
         static_cast<byte>(text[1]) <= 0x9E && static_cast<byte>(text[1]) != 0x97;
}

constexpr std::array<std::string_view, 6> signs = {"$", "%", "\u20AC", "\u00A3", "\u00A5", "\u00B0"};

/// Length of the sign that `rest` begins with; 0 if it begins with none.
std::size_t sign_length(std::string_view rest) {
  for (const auto sign : signs)
    if (rest.starts_with(sign))
      return sign.size();
  return 0;
}

/// Length of the mark beyond ASCII that `rest` begins with (\u00BF, \u00AB, \u2039, \u3002...); 0 if with
/// none.
std::size_t mark_length(std::string_view rest) {
  const auto at = [&](std::size_t i) { return i < rest.size() ? static_cast<byte>(rest[i]) : byte{0}; };
  if (at(0) == 0xC2 && at(1) >= 0xA1 && at(1) <= 0xBF)
    return 2;
  const bool is_general = at(0) == 0xE2 && (at(1) == 0x80 || at(1) == 0x81);
  const bool is_cjk = at(0) == 0xE3 && at(1) == 0x80 && at(2) <= 0x83;
  const bool is_wide = at(0) == 0xEF && at(1) == 0xBC && at(2) <= 0x8F;
  return is_general || is_cjk || is_wide ? 3 : 0;
}

/// The whole and the part of a contraction; words that are two in other spellings, too.
struct contraction {
  std::string_view from;
  std::string_view to;
  std::string_view rest;
};

constexpr std::array contractions = {
    contraction{"can't", "can", "not"},     contraction{"won't", "will", "not"},
    contraction{"shan't", "shall", "not"},  contraction{"ain't", "is", "not"},
    contraction{"cannot", "can", "not"},    contraction{"dont", "do", "not"},
    contraction{"doesnt", "does", "not"},   contraction{"didnt", "did", "not"},
    contraction{"cant", "can", "not"},      contraction{"wont", "will", "not"},
    contraction{"isnt", "is", "not"},       contraction{"arent", "are", "not"},
    contraction{"wasnt", "was", "not"},     contraction{"couldnt", "could", "not"},
    contraction{"wouldnt", "would", "not"}, contraction{"shouldnt", "should", "not"},
    contraction{"havent", "have", "not"},   contraction{"hasnt", "has", "not"},
    contraction{"whats", "what", "is"},     contraction{"wanna", "want", "to"},
    contraction{"gonna", "going", "to"},
};

struct suffix {
  std::string_view ending;
  std::string_view rest;
};
constexpr std::array suffixes = {
    suffix{"n't", "not"},  suffix{"'re", "are"}, suffix{"'ve", "have"},
    suffix{"'ll", "will"}, suffix{"'m", "am"},   suffix{"'d", "would"},
};

/// Words after which 's is short for "is"; after others it is a possessive.
const std::unordered_set<std::string_view> before_is = {"what",  "who",  "where", "when", "why",
                                                        "how",   "it",   "he",    "she",  "that",
                                                        "there", "here", "this",  "which"};

std::vector<std::string> written_out(const std::string& lower) {
  for (const auto& one : contractions)
    if (lower == one.from)
      return {std::string{one.to}, std::string{one.rest}};
  for (const auto& one : suffixes)
    if (lower.size() > one.ending.size() && lower.ends_with(one.ending))
      return {lower.substr(0, lower.size() - one.ending.size()), std::string{one.rest}};
  if (lower.ends_with("'s")) {
    auto base = lower.substr(0, lower.size() - 2);
    return before_is.contains(base) ? std::vector<std::string>{base, "is"} : std::vector<std::string>{base};
  }
  return {lower};
}

void drop_double_end(std::string& word) {
  const auto n = word.size();
  if (n > 2 && word[n - 1] == word[n - 2] && word[n - 1] != 'l' && word[n - 1] != 's')
    word.pop_back();
}

bool drop(std::string& word, std::string_view ending, std::size_t least_left) {
  if (word.size() < ending.size() + least_left || !word.ends_with(ending))
    return false;
  word.resize(word.size() - ending.size());
  return true;
}

class reader {
public:
  explicit reader(std::string_view text) : text_(text) {}

  std::vector<word> read() {
    while (at_ < text_.size()) {
      const auto n_sign = sign_length(text_.substr(at_));
      if (is_digit(text_[at_]))
        read_number();
      else if (n_sign > 0)
        add(n_sign, {std::string{text_.substr(at_, n_sign)}});
      else if (const auto n_mark = mark_length(text_.substr(at_)))
        at_ += n_mark;
      else if (is_letter(text_[at_]))
        read_letters();
      else
        skip();
    }
    return std::move(words_);
  }

private:
  char byte_at(std::size_t i) const { return i < text_.size() ? text_[i] : ' '; }

  void skip() {
    const char c = text_[at_++];
    if (c == '.' || c == '!' || c == '?' || c == ':' || c == '\n')
      is_initial_ = true;
  }

  void add(std::size_t n_bytes, const std::vector<std::string>& texts) {
    const auto raw = text_.substr(at_, n_bytes);
    for (const auto& text : texts) {
      auto& made = words_.emplace_back();
      made.text = text;
      made.stem = stem_of(text);
      made.is_capital = is_upper(raw.front()) || is_accented_capital(raw);
      made.is_shouted = std::any_of(raw.begin() + 1, raw.end(), is_upper);
      made.is_initial = is_initial_;
      made.before = at_ == 0 ? ' ' : text_[at_ - 1];
      made.after = byte_at(at_ + n_bytes);
      is_initial_ = false;
    }
    at_ += n_bytes;
  }

  void read_letters() {
    auto end = at_;
    while (is_letter(byte_at(end)) || (byte_at(end) == '\'' && is_letter(byte_at(end + 1)))) {
      if (end > at_ && sign_length(text_.substr(end)) + mark_length(text_.substr(end)) > 0)
        break;
      ++end;
    }
    add(end - at_, written_out(lower_case(text_.substr(at_, end - at_))));
  }

  void read_number() {
    auto end = at_;
    std::string digits;
    while (is_digit(byte_at(end)) ||
           ((byte_at(end) == ',' || byte_at(end) == '.') && is_digit(byte_at(end + 1)))) {
      if (byte_at(end) != ',')
        digits += byte_at(end);
      ++end;
    }
    const bool has_exponent = byte_at(end) == 'e' && is_digit(byte_at(end + 1));
    if (has_exponent)
      for (digits += text_[end++]; is_digit(byte_at(end)); ++end)
        digits += text_[end];
    const auto before = at_ == 0 ? ' ' : text_[at_ - 1];
    const auto further = at_ < 2 ? ' ' : text_[at_ - 2];
    const bool is_negative = before == '-' && !is_letter(further) && !is_digit(further);
    add(end - at_, {digits});
    auto& made = words_.back();
    made.is_number = true;
    std::from_chars(digits.data(), digits.data() + digits.size(), made.number);
    if (is_negative)
      made.number = -made.number;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  bool is_initial_ = true;
  std::vector<word> words_;
};

} // namespace

std::string lower_case(std::string_view text) {
  std::string lower{text};
  for (std::size_t i = 0; i < lower.size(); ++i) {
    if (is_upper(lower[i]))
      lower[i] = static_cast<char>(lower[i] - 'A' + 'a');
    else if (is_accented_capital(std::string_view{lower}.substr(i)))
      lower[i + 1] = static_cast<char>(static_cast<byte>(lower[i + 1]) + 0x20);
  }
  return lower;
}

std::string stem_of(std::string_view lower_case_word) {
  std::string stem{lower_case_word};
  if (drop(stem, "ies", 3))
    stem += 'y';
  else if (stem.ends_with("sses") || stem.ends_with("shes") || stem.ends_with("ches") ||
           stem.ends_with("xes"))
    drop(stem, "es", 3);
  else if (!stem.ends_with("ss") && !stem.ends_with("us") && !stem.ends_with("is"))
    drop(stem, "s", 3);
  if (drop(stem, "ing", 3) || drop(stem, "ed", 3))
    drop_double_end(stem);
  drop(stem, "ly", 4);
  drop(stem, "e", 3);
  return stem;
}

std::vector<word> words_of(std::string_view text) { return reader{text}.read(); }

bool is_function_word(std::string_view lower_case_word) {
  static const std::unordered_set<std::string_view> all = {
      "a",        "an",      "the",     "this",    "that",     "these",   "those",     "i",        "me",
      "my",       "mine",    "myself",  "you",     "your",     "yours",   "yourself",  "he",       "him",
      "his",      "she",     "her",     "hers",    "it",       "its",     "we",        "us",       "our",
      "ours",     "they",    "them",    "their",   "theirs",   "one",     "who",       "whom",     "whose",
      "which",    "what",    "when",    "where",   "why",      "how",     "is",        "am",       "are",
      "was",      "were",    "be",      "been",    "being",    "do",      "does",      "did",      "doing",
      "done",     "have",    "has",     "had",     "having",   "can",     "could",     "will",     "would",
      "shall",    "should",  "may",     "might",   "must",     "ought",   "of",        "to",       "from",
      "in",       "into",    "on",      "onto",    "at",       "by",      "for",       "with",     "about",
      "as",       "than",    "then",    "and",     "or",       "but",     "if",        "so",       "such",
      "there",    "here",    "up",      "out",     "over",     "under",   "through",   "during",   "between",
      "among",    "against", "because", "while",   "also",     "too",     "very",      "just",     "really",
      "actually", "please",  "tell",    "explain", "describe", "give",    "know",      "want",     "need",
      "get",      "got",     "getting", "go",      "going",    "like",    "way",       "ways",     "some",
      "any",      "s",       "t",       "d",       "etc",      "vs",      "let",       "other",    "own",
      "same",     "ever",    "mean",    "means",   "meaning",  "someone", "something", "anything", "thing",
      "things",   "people",  "person",  "make",    "made",     "use",     "using",     "used",     "come",
      "per",      "via",     "be",      "am",      "upon"};
  return all.contains(lower_case_word);
}

} // namespace souffleur::guards
