#include "policies/lexical_guards.hpp"

#include "policies/cache_key.hpp"
#include "policies/guards/code_spans.hpp"
#include "policies/guards/language.hpp"
#include "policies/guards/lexicon.hpp"
#include "policies/guards/order.hpp"
#include "policies/guards/words.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <iterator>
#include <optional>
#include <set>
#include <vector>

namespace souffleur {

using namespace guards;

namespace {

using text_set = std::set<std::string, std::less<>>;

/// A word whose kind is known.
struct word_of_kind {
  std::string stem;
  std::string_view kind;
};

struct unit_use {
  std::string name;
  bool has_number = false;
  bool operator==(const unit_use&) const = default;
};

} // namespace

struct text_signature::content {
  std::string script;
  std::string language;
  spans parts;
  std::string plain; ///< all words with a blank on both sides: what a quotation is looked for in
  std::vector<double> numbers;
  int n_ones = 0; ///< the word "one", which may be a number
  std::vector<unit_use> units;
  text_set dates;
  text_set weak_dates;
  int n_negators = 0;
  text_set quantifiers;
  text_set weak_quantifiers;
  opposites_in_text sides;
  text_set names; ///< words that are names by their spelling or because everybody knows them
  text_set words; ///< all words in lower case, their stems, and the names that they stand for
  std::vector<word_of_kind> kinds;
  std::string question;
  std::vector<actor_word> actors;
  text_set saying; ///< stems of the words that say something
};

namespace {

using content = text_signature::content;

std::string plain_words(const std::vector<word>& words) {
  std::string plain = " ";
  for (const auto& one : words)
    (plain += one.text) += ' ';
  return plain;
}

// --- numbers, units, dates ---

/// In letters or digits; a multiplier multiplies the number right before it.
void read_numbers(const std::vector<word>& words, content& to) {
  bool goes_on = false;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const auto& one = words[i];
    const auto& before = i > 0 ? words[i - 1].text : one.text;
    if (one.is_number) {
      to.numbers.push_back(one.number);
    } else if (const auto factor = multiplier_of(one.text); factor && (goes_on || one.text != "k")) {
      if (goes_on)
        to.numbers.back() *= *factor;
      else
        to.numbers.push_back(*factor);
    } else if (const auto value = value_of(one.text)) {
      if (goes_on && value_of(before) && *value < 10 && to.numbers.back() >= 20 && to.numbers.back() < 100)
        to.numbers.back() += *value; // twenty five
      else
        to.numbers.push_back(*value);
    } else {
      to.n_ones += one.text == "one" ? 1 : 0;
      goes_on = false;
      continue;
    }
    goes_on = true;
  }
}

/// Roman numerals are words in capitals, which the words as such have lost.
void read_roman_numbers(std::string_view prose, content& to) {
  while (!prose.empty()) {
    const auto size = std::min(prose.find_first_of(" ,.?!'"), prose.size());
    if (const auto value = roman_value_of(prose.substr(0, size)))
      to.numbers.push_back(*value);
    prose.remove_prefix(std::min(size + 1, prose.size()));
  }
}

bool is_numeral(const word& one) { return one.is_number || value_of(one.text) || multiplier_of(one.text); }

/// Whether a number stands before words[i], perhaps with "degrees" between.
bool follows_number(const std::vector<word>& words, std::size_t i) {
  while (i > 0 &&
         (words[i - 1].text == "degrees" || words[i - 1].text == "degree" || words[i - 1].text == "\u00B0"))
    --i;
  return i > 0 && (is_numeral(words[i - 1]) || words[i - 1].text == "one");
}

/// The unit that words[i] stands for here.
std::optional<std::string> unit_at(const std::vector<word>& words, std::size_t i) {
  const auto& one = words[i];
  if (one.text == "h" && i > 0 && words[i - 1].text == "km")
    return "kmh";
  if (one.text == "second" && i > 0 && words[i - 1].is_number)
    return "second";
  const auto known = unit_of(one.text);
  if (!known || (known->after_numbers_only && !follows_number(words, i)))
    return std::nullopt;
  return std::string{known->name};
}

void read_units(const std::vector<word>& words, content& to) {
  for (std::size_t i = 0; i < words.size(); ++i)
    if (auto name = unit_at(words, i)) {
      const bool has_number = follows_number(words, i) ||
                              (words[i].text == "$" && i + 1 < words.size() && words[i + 1].is_number);
      to.units.push_back({std::move(*name), has_number});
    }
}

void read_dates(const std::vector<word>& words, content& to) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    const auto& one = words[i];
    if ((one.text == "this" || one.text == "next" || one.text == "last" || one.text == "previous") &&
        i + 1 < words.size() && (unit_of(words[i + 1].text) || date_mark_of(words[i + 1].text)))
      to.dates.insert(one.text + " " + words[i + 1].stem);
    const auto mark = date_mark_of(one.text);
    if (!mark)
      continue;
    const bool is_near_number =
        (i > 0 && is_numeral(words[i - 1])) || (i + 1 < words.size() && is_numeral(words[i + 1]));
    if (mark->needs_capital && !is_near_number && (!one.is_capital || one.is_initial))
      continue;
    (mark->is_weak ? to.weak_dates : to.dates).insert(std::string{mark->name});
  }
}

// --- words ---

void read_quantifiers(const std::vector<word>& words, content& to) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    const auto& one = words[i];
    const auto& before = i > 0 ? words[i - 1].text : one.text;
    const bool asks = before == "how";                         // how many, how often
    const bool is_idiom = before == "at" && one.text == "all"; // not at all
    const bool is_date = date_mark_of(one.text).has_value();
    const auto known = quantifier_of(one.text);
    if (!known || asks || is_idiom || is_date)
      continue;
    if (one.text == "most" && before == "at")
      to.quantifiers.insert("maximum");
    else
      (known->is_strong ? to.quantifiers : to.weak_quantifiers).insert(std::string{known->name});
  }
}

/// Capitals tell nothing where even small words have them.
bool is_title(const std::vector<word>& words) {
  const auto n_small = std::count_if(words.begin(), words.end(), [](const word& w) {
    return w.is_capital && !w.is_shouted && !w.is_initial && is_function_word(w.text) && w.text != "i";
  });
  const auto n_capital =
      std::count_if(words.begin(), words.end(), [](const word& w) { return w.is_capital; });
  return n_small >= 2 ||
         (words.size() >= 4 && 10 * n_capital >= 8 * static_cast<std::ptrdiff_t>(words.size()));
}

bool is_all_shouted(const std::vector<word>& words) {
  const auto n = std::count_if(words.begin(), words.end(), [](const word& w) { return w.is_shouted; });
  return n >= 2 && 10 * n >= 6 * static_cast<std::ptrdiff_t>(words.size());
}

/// What `one` is called here, if it is a name.
std::optional<std::string> name_at(const word& one, bool capitals_tell) {
  const auto known = known_name_of(one.text);
  if (known && (!known->needs_capital || one.is_capital))
    return std::string{known->name};
  const bool is_other = one.is_number || is_function_word(one.text) || unit_of(one.text) ||
                        date_mark_of(one.text) || is_negator(one.text) || quantifier_of(one.text) ||
                        one.text == "i";
  if (!capitals_tell || is_other)
    return std::nullopt;
  if (one.is_shouted || (one.is_capital && !one.is_initial))
    return one.text;
  return std::nullopt;
}

void read_names(const std::vector<word>& words, content& to) {
  const bool shouted = is_all_shouted(words);
  const bool title = is_title(words);
  for (const auto& one : words) {
    to.words.insert(one.text);
    to.words.insert(one.stem);
    if (const auto known = known_name_of(one.text))
      to.words.insert(std::string{known->name});
    if (auto name = name_at(one, !shouted && (!title || one.is_shouted)))
      to.names.insert(std::move(*name));
  }
}

void read_words(const std::vector<word>& words, content& to) {
  for (const auto& one : words) {
    to.n_negators += is_negator(one.text) ? 1 : 0;
    note_opposites(one.text, to.sides);
    if (const auto kind = kind_of(one.stem); !kind.empty())
      to.kinds.push_back({one.stem, kind});
    if (!is_function_word(one.text) && !one.is_number)
      to.saying.insert(one.stem);
  }
}

// --- what is asked ---

bool is_auxiliary(std::string_view text) {
  constexpr std::array all = {"is",   "are",   "was",    "were",  "do",  "does", "did", "can", "could",
                              "will", "would", "should", "shall", "has", "have", "had", "am",  "must"};
  return std::find(all.begin(), all.end(), text) != all.end();
}

/// Who, when, where, why, how many...: what kind of answer is asked for. Empty: it is not clear.
std::string question_of(const std::vector<word>& words) {
  const auto text = [&](std::size_t i) { return i < words.size() ? std::string_view{words[i].text} : ""; };
  const auto is_kindness = [&](std::size_t i) {
    return (text(i) == "can" || text(i) == "could" || text(i) == "would" || text(i) == "will") &&
           text(i + 1) == "you";
  };
  for (std::size_t i = 0; i < words.size(); ++i) {
    const auto one = text(i);
    const auto next = text(i + 1);
    if (words[i].is_initial && is_auxiliary(one) && !is_kindness(i))
      return "yes or no";
    if (one == "who" || one == "whose" || one == "whom")
      return "who";
    if (one == "when" || one == "where" || one == "why")
      return std::string{one};
    if (one == "what" || one == "which")
      return {};
    if (one != "how")
      continue;
    if (next == "come")
      return "why";
    if (next == "many" || next == "much")
      return "how many";
    if (next == "long" || next == "old" || next == "far" || next == "tall" || next == "often" ||
        next == "big" || next == "fast")
      return "how " + std::string{next};
    return "how";
  }
  return {};
}

// --- comparisons: each gives what differs, or nothing ---

std::string difference(const text_set& a, const text_set& b) {
  std::vector<std::string> differ;
  std::set_symmetric_difference(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(differ));
  std::string shown;
  for (const auto& one : differ)
    (shown += shown.empty() ? "" : ", ") += one;
  return shown;
}

bool has_more(const text_set& a, const text_set& b) {
  return !std::includes(b.begin(), b.end(), a.begin(), a.end());
}

/// Each has something that the other has not.
bool replace_each_other(const text_set& a, const text_set& b) { return has_more(a, b) && has_more(b, a); }

std::string differing_language(const content& a, const content& b) {
  if (!a.script.empty() && !b.script.empty() && a.script != b.script)
    return a.script + "/" + b.script;
  if (!a.language.empty() && !b.language.empty() && a.language != b.language)
    return a.language + "/" + b.language;
  return {};
}

std::string differing_code(const content& a, const content& b) {
  if (a.parts.code == b.parts.code)
    return {};
  const auto shown = [](const content& one) {
    return one.parts.code.empty() ? "no code" : one.parts.code.front();
  };
  return shown(a) + " / " + shown(b);
}

std::string differing_quote(const content& a, const content& b) {
  for (const auto& quote : a.parts.quotes)
    if (b.plain.find(plain_words(words_of(quote))) == std::string::npos)
      return quote;
  return {};
}

std::string shown(double number) {
  auto text = std::to_string(number);
  text.erase(text.find_last_not_of('0') + 1);
  return text.ends_with('.') ? text.substr(0, text.size() - 1) : text;
}

/// All numbers of `a` are in `b` as often, or else are ones that `b` may have written "one".
std::string missing_number(const content& a, const content& b) {
  auto left = b.numbers;
  left.insert(left.end(), static_cast<std::size_t>(b.n_ones), 1.0);
  for (const auto number : a.numbers) {
    const auto found = std::find(left.begin(), left.end(), number);
    if (found == left.end())
      return shown(number);
    left.erase(found);
  }
  return {};
}

std::string differing_number(const content& a, const content& b) {
  if (auto missing = missing_number(a, b); !missing.empty())
    return missing;
  if (auto missing = missing_number(b, a); !missing.empty())
    return missing;
  auto in_a = a.numbers;
  auto in_b = b.numbers;
  std::erase(in_a, 1.0);
  std::erase(in_b, 1.0);
  return in_a == in_b ? "" : "order of numbers";
}

text_set unit_names(const content& from, bool with_number_only) {
  text_set names;
  for (const auto& one : from.units)
    if (one.has_number || !with_number_only)
      names.insert(one.name);
  return names;
}

std::string differing_unit(const content& a, const content& b) {
  const auto in_a = unit_names(a, false);
  const auto in_b = unit_names(b, false);
  if (replace_each_other(in_a, in_b) || has_more(unit_names(a, true), in_b) ||
      has_more(unit_names(b, true), in_a))
    return difference(in_a, in_b);
  const auto same_name = [](const unit_use& x, const unit_use& y) { return x.name == y.name; };
  if (in_a.size() > 1 && a.units.size() == b.units.size() &&
      !std::equal(a.units.begin(), a.units.end(), b.units.begin(), same_name))
    return "order of units";
  return {};
}

std::string differing_date(const content& a, const content& b) {
  if (a.dates != b.dates)
    return difference(a.dates, b.dates);
  return replace_each_other(a.weak_dates, b.weak_dates) ? difference(a.weak_dates, b.weak_dates) : "";
}

/// A word of `a` alone that is one of `b` alone with an opposing prefix.
std::string prefixed_opposite(const content& a, const content& b) {
  constexpr std::size_t least_left = 4; // "in-to" opposes nothing
  for (const auto& one : a.words)
    for (const auto prefix : opposing_prefixes()) {
      if (!one.starts_with(prefix) || one.size() < prefix.size() + least_left || b.words.contains(one))
        continue;
      const auto rest = one.substr(prefix.size());
      if (b.words.contains(rest) && !a.words.contains(rest))
        return rest + "/" + one;
    }
  return {};
}

std::string differing_negation(const content& a, const content& b) {
  if (a.n_negators != b.n_negators)
    return std::to_string(a.n_negators) + "/" + std::to_string(b.n_negators) + " negations";
  return prefixed_opposite(a, b);
}

std::string differing_quantifier(const content& a, const content& b) {
  if (a.quantifiers != b.quantifiers)
    return difference(a.quantifiers, b.quantifiers);
  return replace_each_other(a.weak_quantifiers, b.weak_quantifiers)
             ? difference(a.weak_quantifiers, b.weak_quantifiers)
             : "";
}

/// A word of `a` alone, and one of `b` alone that is of the same kind.
std::string replaced_kind(const content& a, const content& b) {
  for (const auto& one : a.kinds)
    for (const auto& other : b.kinds)
      if (one.kind == other.kind && !b.saying.contains(one.stem) && !a.saying.contains(other.stem))
        return one.stem + "/" + other.stem;
  return {};
}

std::string differing_name(const content& a, const content& b) {
  for (const auto& name : a.names)
    if (!b.words.contains(name) && !b.words.contains(stem_of(name)))
      return name;
  return replaced_kind(a, b);
}

std::string differing_question(const content& a, const content& b) {
  if (a.question.empty() || b.question.empty() || a.question == b.question)
    return {};
  return a.question + "/" + b.question;
}

std::string differing_wording(const content& a, const content& b) {
  const bool share = std::any_of(a.saying.begin(), a.saying.end(),
                                 [&](const std::string& stem) { return b.saying.contains(stem); });
  return share || a.saying.empty() || b.saying.empty() || !a.numbers.empty() ? "" : "no word in common";
}

struct named_comparison {
  guard which;
  std::string (*differing)(const content& a, const content& b);
};

/// Those that are not symmetric are asked both ways.
constexpr std::array comparisons = {
    named_comparison{guard::language, differing_language},
    named_comparison{guard::code, differing_code},
    named_comparison{guard::quote, differing_quote},
    named_comparison{guard::number, differing_number},
    named_comparison{guard::unit, differing_unit},
    named_comparison{guard::date, differing_date},
    named_comparison{guard::negation, differing_negation},
    named_comparison{guard::quantifier, differing_quantifier},
    named_comparison{guard::comparative,
                     [](const content& a, const content& b) { return opposed(a.sides, b.sides); }},
    named_comparison{guard::entity, differing_name},
    named_comparison{guard::question, differing_question},
    named_comparison{guard::order,
                     [](const content& a, const content& b) { return exchanged(a.actors, b.actors); }},
    named_comparison{guard::wording, differing_wording},
};

} // namespace

text_signature::text_signature(std::string_view text) {
  const auto canonical = canonical_text(text);
  content made;
  made.parts = spans_of(canonical);
  const auto words = words_of(made.parts.prose);
  made.script = script_of(made.parts.prose);
  made.language = language_of(words);
  made.plain = plain_words(words);
  read_numbers(words, made);
  read_roman_numbers(made.parts.prose, made);
  read_units(words, made);
  read_dates(words, made);
  read_quantifiers(words, made);
  read_names(words, made);
  read_words(words, made);
  made.question = question_of(words);
  made.actors = actors_of(words);
  content_ = std::make_shared<const content>(std::move(made));
}

guard_verdict compare(const text_signature& a, const text_signature& b) {
  for (const auto& [which, differing] : comparisons)
    for (const bool forth : {true, false})
      if (auto why = forth ? differing(*a.content_, *b.content_) : differing(*b.content_, *a.content_);
          !why.empty())
        return {which, std::move(why)};
  return {};
}

wording_overlap overlap(const text_signature& a, const text_signature& b) {
  const auto& in_a = a.content_->saying;
  const auto& in_b = b.content_->saying;
  wording_overlap counts;
  counts.n_shared = static_cast<int>(
      std::count_if(in_a.begin(), in_a.end(), [&](const auto& stem) { return in_b.contains(stem); }));
  counts.n_only_a = static_cast<int>(in_a.size()) - counts.n_shared;
  counts.n_only_b = static_cast<int>(in_b.size()) - counts.n_shared;
  return counts;
}

guard_verdict compare(std::string_view a, std::string_view b) {
  return compare(text_signature{a}, text_signature{b});
}

} // namespace souffleur
