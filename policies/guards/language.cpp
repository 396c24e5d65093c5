#include "policies/guards/language.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <unordered_set>

namespace souffleur::guards {

namespace {

struct range {
  std::uint32_t first;
  std::uint32_t last;
  std::string_view script;
};

constexpr std::array ranges = {
    range{0x41, 0x5A, "latin"},      range{0x61, 0x7A, "latin"},        range{0xC0, 0x24F, "latin"},
    range{0x370, 0x3FF, "greek"},    range{0x400, 0x52F, "cyrillic"},   range{0x590, 0x5FF, "hebrew"},
    range{0x600, 0x77F, "arabic"},   range{0x900, 0x97F, "devanagari"}, range{0x980, 0xDFF, "indic"},
    range{0xE00, 0xE7F, "thai"},     range{0x3040, 0x30FF, "kana"},     range{0x3400, 0x9FFF, "han"},
    range{0xAC00, 0xD7AF, "hangul"},
};

std::string_view script_of_letter(std::uint32_t point) {
  for (const auto& one : ranges)
    if (point >= one.first && point <= one.last)
      return one.script;
  return {};
}

/// The code point at the beginning of `text`, which it shortens; a stray byte stands for itself.
std::uint32_t next_point(std::string_view& text) {
  const auto first = static_cast<unsigned char>(text.front());
  const std::size_t n_bytes = first < 0xC0 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  std::uint32_t point = n_bytes == 1 ? first : first & (0x7FU >> n_bytes);
  for (std::size_t i = 1; i < n_bytes && i < text.size(); ++i)
    point = point << 6 | (static_cast<unsigned char>(text[i]) & 0x3FU);
  text.remove_prefix(std::min(n_bytes, text.size()));
  return point;
}

struct small_words {
  std::string_view language;
  std::unordered_set<std::string_view> words;
};

const std::array<small_words, 7>& languages() {
  static const std::array<small_words, 7> all = {
      small_words{"en",
                  {"the", "is",     "are", "what", "how",  "why", "do",   "does", "where", "which",   "and",
                   "of",  "to",     "in",  "my",   "i",    "you", "it",   "can",  "with",  "between", "for",
                   "was", "were",   "did", "by",   "whom", "not", "be",   "has",  "have",  "on",      "at",
                   "or",  "should", "a",   "an",   "this", "me",  "tell", "who",  "when",  "explain"}},
      small_words{"de", {"der", "die", "das",      "ist",   "was", "wie", "warum", "ich",      "nicht",
                         "und", "ein", "eine",     "einen", "mir", "du",  "bist",  "zwischen", "wo",
                         "wer", "mit", "f\u00FCr", "lerne", "zu",  "den", "dem",   "auf",      "kann"}},
      small_words{"fr", {"le",      "la",   "les", "est",       "que",   "quelle", "quel", "pourquoi",
                         "comment", "un",   "une", "des",       "du",    "et",     "je",   "il",
                         "dans",    "pour", "sur", "qu'est-ce", "qu'un", "qu'est"}},
      small_words{"es",
                  {"el", "la", "los", "las", "es", "qu\u00E9", "que", "c\u00F3mo", "d\u00F3nde", "est\u00E1",
                   "por", "una", "un", "y", "de", "en", "cu\u00E1l"}},
      small_words{"it",
                  {"che", "cosa", "cos'\u00E8", "il", "la", "di", "una", "un", "come", "perch\u00E9", "e",
                   "\u00E8", "gli", "per"}},
      small_words{
          "pt",
          {"o", "os", "que", "\u00E9", "como", "por", "n\u00E3o", "uma", "um", "a", "de", "em", "onde"}},
      small_words{"nl",
                  {"de", "het", "een", "wat", "is", "hoe", "waarom", "ik", "niet", "en", "van", "waar"}},
  };
  return all;
}

} // namespace

std::string script_of(std::string_view text) {
  std::map<std::string_view, int> counts;
  while (!text.empty())
    if (const auto script = script_of_letter(next_point(text)); !script.empty())
      ++counts[script];
  if (counts.empty())
    return {};
  return std::string{std::max_element(counts.begin(), counts.end(), [](const auto& a, const auto& b) {
                       return a.second < b.second;
                     })->first};
}

std::string language_of(const std::vector<word>& words) {
  std::string_view best;
  int n_best = 0;
  bool is_shared = false;
  for (const auto& one : languages()) {
    const auto n = static_cast<int>(
        std::count_if(words.begin(), words.end(), [&](const word& w) { return one.words.contains(w.text); }));
    is_shared = n == n_best || (n < n_best && is_shared);
    if (n > n_best) {
      best = one.language;
      n_best = n;
    }
  }
  return is_shared ? std::string{} : std::string{best};
}

} // namespace souffleur::guards
