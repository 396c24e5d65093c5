// Which words the guards know, and what each of them stands for. All words are in lower case.
#pragma once

#include <bitset>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace souffleur::guards {

/// Not, never, without...: says that something is not so.
bool is_negator(std::string_view word);

/// Value of a number in letters ("five", "dozen", "third"). "one" is left out: mostly it is none.
std::optional<double> value_of(std::string_view word);
/// "hundred", "million": multiplies what is before it.
std::optional<double> multiplier_of(std::string_view word);
/// Upper case: VIII. Single letters are none.
std::optional<double> roman_value_of(std::string_view upper_case_word);

struct unit {
  std::string_view name;
  bool after_numbers_only = false; ///< too short or too ambiguous to stand for itself
};
std::optional<unit> unit_of(std::string_view word);

struct date_mark {
  std::string_view name;
  bool needs_capital = false; ///< may, march...: else it is another word
  bool is_weak = false;       ///< means something only against another one: "morning", "now"
};
std::optional<date_mark> date_mark_of(std::string_view word);

struct quantifier {
  std::string_view name;
  bool is_strong = false; ///< changes a question by its presence: all, only, always
};
std::optional<quantifier> quantifier_of(std::string_view word);

/// A country, language, city, company or product, under one name for all that it is called.
struct known_name {
  std::string_view name;
  bool needs_capital = false; ///< turkey, apple: else it is another word
};
std::optional<known_name> known_name_of(std::string_view word);

/// Pairs of opposites: hot and cold, before and after, buy and sell.
inline constexpr std::size_t most_opposites = 256;
struct opposites_in_text {
  std::bitset<most_opposites> left;
  std::bitset<most_opposites> right;
};
/// Notes every pair that `word`, in any of its forms, is one side of.
void note_opposites(std::string_view word, opposites_in_text& in);
/// One says hot where the other says cold, or speaks of both where the other speaks of one. Empty: no pair
/// parts them; else such a pair's two words.
std::string opposed(const opposites_in_text& a, const opposites_in_text& b);

/// The kind that a word with this stem is one of: "colour", "animal"... Empty: none is known.
std::string_view kind_of(std::string_view stem);

/// Prefixes that turn a word into its opposite: un-, in-, dis-...
std::span<const std::string_view> opposing_prefixes();

/// A function word that says which part its object plays: from, to, than, before...
bool gives_a_role(std::string_view word);

} // namespace souffleur::guards
