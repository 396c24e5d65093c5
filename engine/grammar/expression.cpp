#include "engine/grammar/expression.hpp"

#include <utility>

namespace souffleur::grammar {

namespace {

expression of_kind(expression::kind what) {
  expression made;
  made.what = what;
  return made;
}

} // namespace

expression bytes(std::string text) {
  auto made = of_kind(expression::kind::bytes);
  made.text = std::move(text);
  return made;
}

expression one_of(character_set set) {
  auto made = of_kind(expression::kind::characters);
  made.set = std::move(set);
  return made;
}

expression one_of(std::string_view ascii) {
  character_set set;
  for (const char c : ascii)
    set.add(static_cast<unsigned char>(c), static_cast<unsigned char>(c));
  return one_of(std::move(set));
}

expression sequence(std::vector<expression> parts) {
  auto made = of_kind(expression::kind::sequence);
  made.parts = std::move(parts);
  return made;
}

expression choice(std::vector<expression> parts) {
  if (parts.size() == 1)
    return std::move(parts.front());
  auto made = of_kind(expression::kind::choice);
  made.parts = std::move(parts);
  return made;
}

expression repeated(expression part, int least, int most) {
  auto made = of_kind(expression::kind::repetition);
  made.parts.push_back(std::move(part));
  made.least = least;
  made.most = most;
  return made;
}

expression optional(expression part) { return repeated(std::move(part), 0, 1); }

expression call(rule_id callee) {
  auto made = of_kind(expression::kind::rule);
  made.callee = callee;
  return made;
}

expression nothing() { return of_kind(expression::kind::choice); }

expression avoiding(std::string text) {
  auto made = of_kind(expression::kind::avoiding);
  made.text = std::move(text);
  return made;
}

rule_id rules::declare(std::string name) { return add(std::move(name), nothing()); }

rule_id rules::add(std::string name, expression body) {
  bodies.push_back(std::move(body));
  names.push_back(std::move(name));
  return static_cast<rule_id>(bodies.size()) - 1;
}

} // namespace souffleur::grammar
