#include "engine/grammar/gbnf_reader.hpp"

#include "engine/grammar/quantifier.hpp"
#include "engine/grammar/text_reader.hpp"

#include <optional>
#include <unordered_map>

namespace souffleur::grammar {

namespace {

constexpr int most_nested_groups = 100;
constexpr int most_repetitions = 65'536;
constexpr std::size_t most_ranges = 512;

bool is_name_character(char32_t c) {
  return (c >= U'a' && c <= U'z') || (c >= U'A' && c <= U'Z') || (c >= U'0' && c <= U'9') || c == U'-' ||
         c == U'_';
}

class gbnf_reader {
public:
  explicit gbnf_reader(std::string_view text) : text_(text) {}

  result<rules> read() {
    skip_space(true);
    while (!text_.failed() && !text_.at_end())
      read_rule();
    const auto root = known_.find("root");
    for (std::size_t i = 0; i < made_.names.size(); ++i)
      if (!defined_[i])
        text_.complain("calls a rule \"" + made_.names[i] + "\" that is not defined");
    if (root == known_.end())
      text_.complain("has no rule \"root\"");
    if (text_.failed())
      return failure{"the grammar " + text_.why()};
    made_.root = root->second;
    return std::move(made_);
  }

private:
  void skip_space(bool over_lines) {
    while (!text_.at_end()) {
      if (text_.next_is(U'#'))
        while (!text_.at_end() && !text_.next_is(U'\n') && !text_.next_is(U'\r'))
          text_.skip();
      else if (!text_.take(U' ') && !text_.take(U'\t') &&
               !(over_lines && (text_.take(U'\n') || text_.take(U'\r'))))
        return;
    }
  }

  std::string name() {
    std::string made;
    while (!text_.at_end() && is_name_character(text_.peek()))
      made += static_cast<char>(text_.next());
    if (made.empty())
      text_.complain("has something else where a rule's name belongs");
    return made;
  }

  rule_id rule_named(const std::string& name) {
    const auto [found, is_new] = known_.emplace(name, static_cast<rule_id>(made_.bodies.size()));
    if (is_new) {
      made_.declare(name);
      defined_.push_back(false);
    }
    return found->second;
  }

  void read_rule() {
    const auto rule = static_cast<std::size_t>(rule_named(name()));
    skip_space(false);
    if (!text_.take(U"::="))
      return text_.complain("lacks ::= behind a rule's name");
    skip_space(true);
    if (defined_[rule])
      text_.complain("defines the rule \"" + made_.names[rule] + "\" twice");
    defined_[rule] = true;
    made_.bodies[rule] = alternatives(0);
    if (!text_.failed() && !text_.at_end() && !text_.take(U'\r') && !text_.take(U'\n'))
      text_.complain("has something where a rule should end");
    skip_space(true);
  }

  /// Within a group lines do not count.
  expression alternatives(int depth) {
    if (depth > most_nested_groups)
      text_.complain("has groups nested more than " + std::to_string(most_nested_groups) + " deep");
    std::vector<expression> ways;
    do {
      skip_space(true);
      ways.push_back(terms(depth));
    } while (!text_.failed() && text_.take(U'|'));
    return choice(std::move(ways));
  }

  expression terms(int depth) {
    std::vector<expression> parts;
    while (!text_.failed() && begins_term()) {
      parts.push_back(quantified(term(depth)));
      skip_space(depth > 0);
    }
    return sequence(std::move(parts));
  }

  bool begins_term() const {
    return !text_.at_end() && (text_.next_is(U'"') || text_.next_is(U'[') || text_.next_is(U'(') ||
                               text_.next_is(U'.') || is_name_character(text_.peek()));
  }

  expression term(int depth) {
    if (text_.take(U'"'))
      return literal();
    if (text_.take(U'['))
      return one_of(char_class());
    if (text_.take(U'.'))
      return one_of(character_set::all());
    if (!text_.take(U'('))
      return call(rule_named(name()));
    auto inner = alternatives(depth + 1);
    skip_space(true);
    if (!text_.take(U')'))
      text_.complain("has a '(' without ')'");
    return inner;
  }

  expression quantified(expression part) {
    for (skip_space(false); !text_.failed(); skip_space(false)) {
      if (take_quantifier(text_, part))
        continue;
      if (!text_.take(U'{'))
        break;
      part = counted(std::move(part));
    }
    return part;
  }

  expression counted(expression part) {
    skip_space(false);
    const auto least = text_.next_is(U',') ? std::optional{0} : text_.number(most_repetitions);
    auto most = least;
    skip_space(false);
    if (text_.take(U',')) {
      skip_space(false);
      most = text_.next_is(U'}') ? std::optional{unlimited} : text_.number(most_repetitions);
      skip_space(false);
    }
    if (!least || !most || !text_.take(U'}') || (*most != unlimited && *most < *least)) {
      text_.complain("has a '{' that is no {m}, {m,} or {m,n} up to " + std::to_string(most_repetitions));
      return part;
    }
    return repeated(std::move(part), *least, *most);
  }

  expression literal() {
    std::string made;
    while (!text_.failed() && !text_.take(U'"'))
      made += utf8_of(character());
    return bytes(std::move(made));
  }

  character_set char_class() {
    const bool negated = text_.take(U'^');
    character_set set;
    while (!text_.failed() && !text_.take(U']')) {
      const auto first = character();
      auto last = first;
      if (text_.next_is(U'-') && !text_.next_is(U']', 1)) {
        text_.skip();
        last = character();
      }
      if (last < first || set.ranges().size() > most_ranges)
        text_.complain("has a range in [] that goes backwards, or too many");
      else
        set.add(first, last);
    }
    return negated ? set.complement() : set;
  }

  char32_t character() {
    const auto c = text_.next();
    if (c != U'\\')
      return c;
    switch (const auto escaped = text_.next()) {
    case U'n':
      return U'\n';
    case U'r':
      return U'\r';
    case U't':
      return U'\t';
    case U'x':
      return text_.hexadecimal(2);
    case U'u':
      return text_.hexadecimal(4);
    case U'U':
      return text_.hexadecimal(8);
    case U'\\':
    case U'"':
    case U'[':
    case U']':
    case U'-':
    case U'^':
      return escaped;
    default:
      text_.complain("has an escape that is not known");
      return escaped;
    }
  }

  text_reader text_;
  rules made_;
  std::unordered_map<std::string, rule_id> known_;
  std::vector<bool> defined_;
};

} // namespace

result<rules> read_gbnf(std::string_view text) { return gbnf_reader{text}.read(); }

} // namespace souffleur::grammar
