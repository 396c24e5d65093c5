#include "engine/grammar/json_rules.hpp"

#include <algorithm>
#include <map>

namespace souffleur::grammar {

namespace {

constexpr int most_indentation = 20;

const character_set& plain_characters() {
  static const auto set = character_set{}.add(0, 0x1F).add('"', '"').add('\\', '\\').complement();
  return set;
}

expression hex(std::string_view digits = "0123456789abcdefABCDEF") { return one_of(digits); }

/// \uHHHH: no surrogate, or a pair of them.
expression unicode_escape() {
  const auto any = hex();
  const auto not_d = hex("0123456789abcefABCEF");
  const auto low = hex("01234567");
  const auto d = one_of("dD");
  return choice({sequence({bytes("\\u"), not_d, any, any, any}), sequence({bytes("\\u"), d, low, any, any}),
                 sequence({bytes("\\u"), d, one_of("89abAB"), any, any, bytes("\\u"), d, one_of("cdefCDEF"),
                           any, any})});
}

expression digit() { return one_of("0123456789"); }

expression whole_part() {
  return choice({bytes("0"), sequence({one_of("123456789"), repeated(digit(), 0, 18)})});
}

} // namespace

expression json_rules::space() {
  if (space_ < 0)
    space_ =
        to_.add("space", choice({sequence({}), bytes(" "),
                                 sequence({bytes("\n"), repeated(one_of(" \t"), 0, most_indentation)})}));
  return call(space_);
}

expression json_rules::character() {
  if (to_.json_character < 0)
    to_.json_character =
        to_.add("character", choice({one_of(plain_characters()),
                                     sequence({bytes("\\"), one_of("\"\\/bfnrt")}), unicode_escape()}));
  return call(to_.json_character);
}

expression json_rules::quoted(expression text) {
  return sequence({bytes("\""), std::move(text), bytes("\"")});
}

expression json_rules::string(int least, int most) {
  if (least > 0 || most != unlimited)
    return quoted(repeated(character(), least, most));
  if (string_ < 0)
    string_ = to_.add("string", quoted(repeated(character(), 0, unlimited)));
  return call(string_);
}

expression json_rules::integer() {
  if (integer_ < 0)
    integer_ = to_.add("integer", sequence({optional(bytes("-")), whole_part()}));
  return call(integer_);
}

expression json_rules::number() {
  if (number_ < 0)
    number_ = to_.add(
        "number",
        sequence({integer(), optional(sequence({bytes("."), repeated(digit(), 1, 20)})),
                  optional(sequence({one_of("eE"), optional(one_of("+-")), repeated(digit(), 1, 2)}))}));
  return call(number_);
}

expression json_rules::comma() { return sequence({space(), bytes(","), space()}); }

expression json_rules::member(expression key, expression value) {
  return sequence({std::move(key), space(), bytes(":"), space(), std::move(value)});
}

expression json_rules::comma_list(std::string open, expression body, std::string close) {
  return sequence({bytes(std::move(open)), space(), std::move(body), bytes(std::move(close))});
}

expression json_rules::object() {
  if (object_ >= 0)
    return call(object_);
  object_ = to_.declare("object");
  const auto one = member(string(), value());
  auto members = sequence({one, repeated(sequence({comma(), one}), 0, unlimited), space()});
  to_.bodies[static_cast<std::size_t>(object_)] = comma_list("{", optional(std::move(members)), "}");
  return call(object_);
}

expression json_rules::array() {
  if (array_ >= 0)
    return call(array_);
  array_ = to_.declare("array");
  auto items = sequence({value(), repeated(sequence({comma(), value()}), 0, unlimited), space()});
  to_.bodies[static_cast<std::size_t>(array_)] = comma_list("[", optional(std::move(items)), "]");
  return call(array_);
}

expression json_rules::value() {
  if (value_ >= 0)
    return call(value_);
  value_ = to_.declare("value");
  to_.bodies[static_cast<std::size_t>(value_)] =
      choice({object(), array(), string(), number(), boolean(), null()});
  return call(value_);
}

/// A trie of the names: as long as a key goes along it, it is spelled without escapes, so that it is known
/// to be another one from where it leaves it.
expression json_rules::key_beside(std::span<const std::u32string> names, std::size_t n_read) {
  std::vector<expression> ways;
  character_set others = plain_characters();
  std::map<char32_t, std::vector<std::u32string>> further;
  bool is_name = false;
  for (const auto& name : names)
    if (name.size() == n_read)
      is_name = true;
    else
      further[name[n_read]].push_back(name);
  if (!is_name)
    ways.push_back(sequence({}));
  character_set taken;
  for (const auto& [next, rest] : further) {
    taken.add(next, next);
    if (plain_characters().contains(next))
      ways.push_back(sequence({one_of(character_set{}.add(next, next)), key_beside(rest, n_read + 1)}));
  }
  ways.push_back(
      sequence({one_of(others.intersection(taken.complement())), repeated(character(), 0, unlimited)}));
  return choice(std::move(ways));
}

expression json_rules::string_but(std::span<const std::string> names) {
  if (names.empty())
    return string();
  std::vector<std::u32string> spelled;
  for (const auto& name : names)
    spelled.push_back(characters_of(name));
  return quoted(key_beside(spelled, 0));
}

} // namespace souffleur::grammar
