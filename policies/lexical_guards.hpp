// Whether two questions that mean nearly the same to an embedding differ in what it does not see.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace souffleur {

/// What two texts differ in.
enum class guard : std::uint8_t {
  none,
  language,    ///< of the text itself
  code,        ///< code, paths, flags, operators
  quote,       ///< what stands in quotes
  number,      ///< a number, or the order of several
  unit,        ///< km and miles, dollars and euros
  date,        ///< month, weekday, season, yesterday and today
  negation,    ///< not, never, without; legal and illegal
  quantifier,  ///< all and some, first and last, at least and at most
  comparative, ///< opposites: hotter and colder, before and after, buy and sell
  entity,      ///< names; red and blue, breakfast and dinner
  question,    ///< who, when, why, how many, yes or no
  order,       ///< the same words, but who does what to whom
  wording,     ///< no word in common that says anything
};
inline constexpr int n_guards = 14;

constexpr std::string_view to_string(guard which) {
  constexpr std::string_view names[n_guards] = {"none",   "language", "code",     "quote",      "number",
                                                "unit",   "date",     "negation", "quantifier", "comparative",
                                                "entity", "question", "order",    "wording"};
  return names[static_cast<int>(which)];
}

struct guard_verdict {
  guard refused_by = guard::none;
  std::string why; ///< what differs, for a person to read; empty if nothing does
  bool passes() const { return refused_by == guard::none; }
};

/// How much of the wording of two texts is the same: counts of words that say something.
struct wording_overlap {
  int n_shared = 0;
  int n_only_a = 0;
  int n_only_b = 0;
};

/// What the guards read in a text, so that a stored text is read once. Immutable, cheap to copy.
class text_signature {
public:
  explicit text_signature(std::string_view text);

  /// Symmetric: refuses (a, b) if and only if it refuses (b, a), though perhaps for another reason.
  friend guard_verdict compare(const text_signature& a, const text_signature& b);
  friend wording_overlap overlap(const text_signature& a, const text_signature& b);

  struct content;

private:
  std::shared_ptr<const content> content_;
};

guard_verdict compare(const text_signature& a, const text_signature& b);
wording_overlap overlap(const text_signature& a, const text_signature& b);

/// Refuses what a reader who knows no more than the words might answer differently. It knows English best;
/// of other languages it knows numbers, code, quotes, names in capitals and the script.
guard_verdict compare(std::string_view a, std::string_view b);

} // namespace souffleur
