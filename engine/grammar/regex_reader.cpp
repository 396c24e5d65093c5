#include "engine/grammar/regex_reader.hpp"

#include "engine/grammar/quantifier.hpp"
#include "engine/grammar/text_reader.hpp"

#include <array>
#include <charconv>
#include <optional>

namespace souffleur::grammar {

namespace {

constexpr int most_nested_groups = 100;
constexpr int most_repetitions = 65'536;

character_set digits() { return character_set{}.add('0', '9'); }
character_set word_characters() { return digits().add('a', 'z').add('A', 'Z').add('_', '_'); }
character_set spaces() {
  character_set set;
  for (const auto& [first, last] : {std::pair{U'\t', U'\r'},
                                    {U' ', U' '},
                                    {U'\u00A0', U'\u00A0'},
                                    {U'\u1680', U'\u1680'},
                                    {U'\u2000', U'\u200A'},
                                    {U'\u2028', U'\u2029'},
                                    {U'\u202F', U'\u202F'},
                                    {U'\u205F', U'\u205F'},
                                    {U'\u3000', U'\u3000'},
                                    {U'\uFEFF', U'\uFEFF'}})
    set.add(first, last);
  return set;
}
character_set any_but_line_ends() {
  return character_set{}.add('\n', '\n').add('\r', '\r').add(0x2028, 0x2029).complement();
}

class regex_reader {
public:
  regex_reader(std::string_view pattern, regex_match match) : text_(pattern), match_(match) {}

  result<expression> read() {
    auto made = alternatives(0);
    if (!text_.failed() && !text_.at_end())
      text_.complain("has a ')' without '('");
    if (text_.failed())
      return failure{"the regular expression " + text_.why()};
    return made;
  }

private:
  /// At depth 0 anchors may stand around an alternative; where one is missing, anything may, if a part is
  /// enough.
  expression alternatives(int depth) {
    if (depth > most_nested_groups)
      text_.complain("has groups nested more than " + std::to_string(most_nested_groups) + " deep");
    std::vector<expression> ways;
    do
      ways.push_back(depth == 0 ? anchored() : terms(depth));
    while (!text_.failed() && text_.take(U'|'));
    return choice(std::move(ways));
  }

  expression anchored() {
    const auto anything = repeated(one_of(character_set::all()), 0, unlimited);
    std::vector<expression> parts;
    if (!text_.take(U'^') && match_ == regex_match::part)
      parts.push_back(anything);
    parts.push_back(terms(0));
    if (!text_.take(U'$') && match_ == regex_match::part)
      parts.push_back(anything);
    else if (!text_.at_end() && !text_.next_is(U'|') && !text_.next_is(U')'))
      text_.complain("has '$' elsewhere than at an end");
    return sequence(std::move(parts));
  }

  expression terms(int depth) {
    std::vector<expression> parts;
    while (!text_.failed() && !text_.at_end() && !text_.next_is(U'|') && !text_.next_is(U')') &&
           !(depth == 0 && text_.next_is(U'$')))
      parts.push_back(quantified(atom(depth)));
    return sequence(std::move(parts));
  }

  expression quantified(expression part) {
    while (!text_.failed()) {
      if (text_.next_is(U'{'))
        part = counted(std::move(part));
      else if (!take_quantifier(text_, part))
        return part;
      text_.take(U'?'); // lazy: the same texts
      if (text_.next_is(U'*') || text_.next_is(U'+') || text_.next_is(U'?') || text_.next_is(U'{'))
        text_.complain("has a quantifier without anything before it");
    }
    return part;
  }

  expression counted(expression part) {
    text_.skip();
    const auto least = text_.number(most_repetitions);
    auto most = least;
    if (text_.take(U','))
      most = text_.next_is(U'}') ? std::optional{unlimited} : text_.number(most_repetitions);
    if (!least || !most || !text_.take(U'}') || (*most != unlimited && *most < *least)) {
      text_.complain("has a '{' that is no quantifier {m}, {m,} or {m,n} up to " +
                     std::to_string(most_repetitions));
      return part;
    }
    return repeated(std::move(part), *least, *most);
  }

  expression atom(int depth) {
    const auto c = text_.next();
    switch (c) {
    case U'(':
      return group(depth);
    case U'[':
      return one_of(char_class());
    case U'.':
      return one_of(any_but_line_ends());
    case U'\\':
      return one_of(escape(false));
    case U'^':
    case U'$':
      text_.complain("has an anchor elsewhere than at an end");
      break;
    case U'*':
    case U'+':
    case U'?':
    case U'{':
      text_.complain("has a quantifier without anything before it");
      break;
    default:
      break;
    }
    return one_of(character_set{}.add(c, c));
  }

  expression group(int depth) {
    if (text_.take(U'?')) {
      if (text_.take(U'<') && !text_.next_is(U'=') && !text_.next_is(U'!')) {
        while (!text_.at_end() && text_.next() != U'>')
          ;
      } else if (!text_.take(U':')) {
        text_.complain("has a group (? that is not supported (lookaround, flags)");
      }
    }
    auto inner = alternatives(depth + 1);
    if (!text_.take(U')'))
      text_.complain("has a '(' without ')'");
    return inner;
  }

  character_set char_class() {
    const bool negated = text_.take(U'^');
    character_set set;
    while (!text_.failed() && !text_.take(U']')) {
      auto first = class_member();
      if (text_.at_end()) {
        text_.complain("has a '[' without ']'");
        break;
      }
      if (is_single(first) && text_.next_is(U'-') && !text_.next_is(U']', 1)) {
        text_.skip();
        const auto last = class_member();
        if (!is_single(last) || last.ranges()[0].first < first.ranges()[0].first) {
          text_.complain("has a range in [] that goes backwards or is none");
          break;
        }
        first.add(first.ranges()[0].first, last.ranges()[0].first);
      }
      set.add(first);
      if (set.ranges().size() > most_ranges)
        text_.complain("has more than " + std::to_string(most_ranges) + " ranges in []");
    }
    return negated ? set.complement() : set;
  }

  character_set class_member() {
    const auto c = text_.next();
    return c == U'\\' ? escape(true) : character_set{}.add(c, c);
  }

  static bool is_single(const character_set& set) {
    return set.ranges().size() == 1 && set.ranges()[0].first == set.ranges()[0].last;
  }

  character_set escape(bool in_class) {
    const auto c = text_.next();
    switch (c) {
    case U'd':
      return digits();
    case U'D':
      return digits().complement();
    case U'w':
      return word_characters();
    case U'W':
      return word_characters().complement();
    case U's':
      return spaces();
    case U'S':
      return spaces().complement();
    case U't':
      return single(U'\t');
    case U'n':
      return single(U'\n');
    case U'r':
      return single(U'\r');
    case U'f':
      return single(U'\f');
    case U'v':
      return single(U'\v');
    case U'x':
      return single(text_.hexadecimal(2));
    case U'u':
      return single(unicode_escape());
    case U'0':
      return single(U'\0');
    case U'b':
      if (in_class)
        return single(U'\b');
      [[fallthrough]];
    default:
      if ((c >= U'0' && c <= U'9') || (c >= U'a' && c <= U'z') || (c >= U'A' && c <= U'Z'))
        text_.complain("has an escape \\" + utf8_of(c) + " that is not supported");
      return single(c);
    }
  }

  char32_t unicode_escape() {
    if (!text_.take(U'{'))
      return text_.hexadecimal(4);
    const auto value = text_.hexadecimal_until(U'}');
    return value;
  }

  static character_set single(char32_t c) { return character_set{}.add(c, c); }

  static constexpr std::size_t most_ranges = 512;
  text_reader text_;
  regex_match match_;
};

/// What JSON writes for a character that it cannot have as it is.
std::string escaped(char32_t c) {
  constexpr std::string_view letters = "btnvfr"; // 8 to 13; there is no \v
  if (c == U'"' || c == U'\\')
    return {'\\', static_cast<char>(c)};
  if (c >= 8 && c <= 13 && c != 11)
    return {'\\', letters[c - 8]};
  constexpr std::string_view hex = "0123456789abcdef";
  return std::string{"\\u00"} + hex[c >> 4] + hex[c & 15];
}

expression json_characters(const character_set& set) {
  static const auto special = character_set{}.add(0, 0x1F).add('"', '"').add('\\', '\\');
  std::vector<expression> ways;
  if (auto plain = set.intersection(special.complement()); !plain.empty())
    ways.push_back(one_of(std::move(plain)));
  const auto to_be_escaped = set.intersection(special);
  for (const auto& [first, last] : to_be_escaped.ranges())
    for (auto c = first; c <= last; ++c)
      ways.push_back(bytes(escaped(c)));
  return choice(std::move(ways));
}

} // namespace

result<expression> read_regex(std::string_view pattern, regex_match match) {
  return regex_reader{pattern, match}.read();
}

expression as_json_text(const expression& of_characters) {
  if (of_characters.what == expression::kind::characters)
    return json_characters(of_characters.set);
  auto made = of_characters;
  for (auto& part : made.parts)
    part = as_json_text(part);
  return made;
}

} // namespace souffleur::grammar
