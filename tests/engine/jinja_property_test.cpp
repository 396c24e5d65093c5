#include "engine/jinja/template.hpp"

#include <boost/json.hpp>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

namespace souffleur::jinja {
namespace {

namespace json = boost::json;

limits small_limits() {
  limits bounds;
  bounds.max_steps = 20'000;
  bounds.max_output_bytes = 1 << 16;
  bounds.max_created_bytes = 1 << 20;
  return bounds;
}

/// Parses and, if that succeeds, renders; the errors must say something and the text must be within the
/// limit.
void must_end_well(const std::string& source) {
  const auto program = template_program::parse(source);
  if (!program.ok()) {
    RC_ASSERT(!program.error().empty());
    return;
  }
  const json::object variables = {
      {"messages", json::array{json::object{{"role", "user"}, {"content", "hi"}}}}, {"x", 3}, {"s", "a b"}};
  const auto text = program->render(variables, small_limits());
  RC_ASSERT((text.ok() ? text->size() <= small_limits().max_output_bytes : !text.error().empty()));
}

RC_GTEST_PROP(JinjaRobustness, AnyBytesGiveTextOrAnError, (const std::string& bytes)) {
  must_end_well(bytes);
}

RC_GTEST_PROP(JinjaRobustness, AnyMixtureOfTokensGivesTextOrAnError, ()) {
  static const std::vector<std::string> pieces = {
      "{{",       "}}",       "{%",     "%}",     "{#",       "#}",        "{%-",    "-%}",
      "{{-",      "-}}",      "{%+",    " ",      "\n",       "if ",       "elif ",  "else",
      "endif",    "for ",     " in ",   "endfor", "set ",     "endset",    "macro ", "endmacro",
      "call ",    "endcall",  "raw",    "endraw", "filter ",  "endfilter", "with ",  "endwith",
      "break",    "continue", "x",      "s",      "messages", "ns",        "loop",   "namespace()",
      "range(3)", "'a'",      "\"b\"",  "1",      "2.5",      "true",      "none",   "+",
      "-",        "*",        "/",      "//",     "%",        "**",        "~",      "==",
      "<",        "=",        ".",      ",",      ":",        "|",         "(",      ")",
      "[",        "]",        "{",      "}",      " is ",     " not ",     " and ",  " or ",
      "defined",  "upper",    "tojson", "map",    "sort",     "items",     "join",   "split",
      "role",     "first",    "int",    "\\",     "'",        "é",         "\xff",   "::-1"};
  const auto chosen =
      *rc::gen::container<std::vector<std::size_t>>(rc::gen::inRange<std::size_t>(0, pieces.size()));
  std::string source;
  for (const std::size_t i : chosen) {
    source += pieces[i];
  }
  must_end_well(source);
}

/// A statement of a template that parses, by a list of choices.
class template_writer {
public:
  explicit template_writer(std::vector<std::uint8_t> choices) : choices_(std::move(choices)) {}

  std::string body(int depth) {
    std::string text;
    for (int n = choose(4); n > 0; --n) {
      text += statement(depth);
    }
    return text;
  }

private:
  int choose(int n) {
    const int c = place_ < choices_.size() ? choices_[place_] : 0;
    ++place_;
    return c % n;
  }
  std::string name() { return std::string(1, "abcx"[choose(4)]); }

  std::string statement(int depth) {
    switch (depth > 3 ? choose(3) : choose(7)) {
    case 0:
      return "text ";
    case 1:
      return "{{ " + expression(depth) + " }}";
    case 2:
      return "{% set " + name() + " = " + expression(depth) + " %}";
    case 3:
      return "{% if " + expression(depth) + " %}" + body(depth + 1) + "{% else %}" + body(depth + 1) +
             "{% endif %}";
    case 4:
      return "{% for " + name() + " in " + expression(depth) + " %}" + body(depth + 1) + "{% endfor %}";
    case 5:
      return "{% macro " + name() + "(a, b=1) %}" + body(depth + 1) + "{% endmacro %}";
    default:
      return "{% set " + name() + " %}" + body(depth + 1) + "{% endset %}";
    }
  }

  std::string expression(int depth) {
    static const std::vector<std::string> leaves = {
        "1", "'txt'", "2.5", "none", "[1, 2, 3]", "{'k': [1]}", "range(5)", "a", "b", "messages", "loop"};
    static const std::vector<std::string> operators = {"+",  "-", "*",     "//",   "%",   "~",
                                                       "==", "<", " and ", " or ", " in "};
    static const std::vector<std::string> suffixes = {"|upper",  "|list",       "|tojson",
                                                      "|length", "[0]",         "[::-1]",
                                                      ".k",      "|sort",       "|map('string')|list",
                                                      "()",      " is defined", "|reverse|list"};
    switch (depth > 6 ? 0 : choose(4)) {
    case 0:
      return leaves[static_cast<std::size_t>(choose(static_cast<int>(leaves.size())))];
    case 1:
      return "(" + expression(depth + 1) +
             operators[static_cast<std::size_t>(choose(static_cast<int>(operators.size())))] +
             expression(depth + 1) + ")";
    case 2:
      return "(" + expression(depth + 1) +
             suffixes[static_cast<std::size_t>(choose(static_cast<int>(suffixes.size())))] + ")";
    default:
      return "(" + expression(depth + 1) + " if " + expression(depth + 1) + " else " + expression(depth + 1) +
             ")";
    }
  }

  std::vector<std::uint8_t> choices_;
  std::size_t place_ = 0;
};

RC_GTEST_PROP(JinjaRobustness, WellFormedTemplatesGiveTheSameResultTwice,
              (std::vector<std::uint8_t> choices)) {
  // Names that are called must be bound somewhere: bind them all at the end.
  std::string source =
      template_writer(std::move(choices)).body(0) + "{% for i in [] %}{% endfor %}{% if false %}";
  for (const char* name : {"a", "b", "c", "x", "messages", "a.k"}) {
    source += std::string("{% set ") + name + " = 1 %}";
  }
  source += "{% endif %}";
  const auto program = template_program::parse(source);
  RC_ASSERT(program.ok());
  const json::object variables = {{"messages", json::array{"m", 1}}};
  const auto first = program->render(variables, small_limits());
  const auto second = program->render(variables, small_limits());
  RC_ASSERT(first.ok() == second.ok());
  RC_ASSERT((first.ok() ? *first == *second : first.error() == second.error()));
}

std::string rendered(const std::string& source, const json::object& variables = {}) {
  const auto program = template_program::parse(source);
  if (!program.ok()) {
    return "parse: " + program.error();
  }
  const auto text = program->render(variables);
  return text.ok() ? *text : "render: " + text.error();
}

// -- arithmetic against the definition ---

/// An expression in source form with the value it must have; empty source if it divides by zero.
struct sum {
  std::string source;
  std::int64_t value = 0;
};

std::int64_t floor_of(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(std::floor(static_cast<double>(a) / static_cast<double>(b)));
}

/// Numbers are kept small enough for doubles to hold their quotients exactly.
sum make_sum(int depth) {
  if (depth == 0) {
    const auto n = *rc::gen::inRange<std::int64_t>(0, 20);
    return {std::to_string(n), n};
  }
  const sum a = make_sum(depth - 1);
  const sum b = make_sum(*rc::gen::inRange(0, depth));
  const int how = *rc::gen::inRange(0, 6);
  const std::string both =
      "(" + a.source + " " + (const char*[]){"+", "-", "*", "//", "%", "<"}[how] + " " + b.source + ")";
  switch (how) {
  case 0:
    return {both, a.value + b.value};
  case 1:
    return {both, a.value - b.value};
  case 2:
    return std::abs(a.value) < 10'000 && std::abs(b.value) < 10'000 ? sum{both, a.value * b.value} : a;
  case 3:
    return b.value != 0 ? sum{both, floor_of(a.value, b.value)} : a;
  case 4:
    return b.value != 0 ? sum{both, a.value - b.value * floor_of(a.value, b.value)} : a;
  default:
    return {both, a.value < b.value ? 1 : 0};
  }
}

RC_GTEST_PROP(JinjaLaws, ArithmeticFollowsItsDefinition, ()) {
  const sum s = make_sum(*rc::gen::inRange(1, 6));
  RC_ASSERT(rendered("{{ " + s.source + " + 0 }}") == std::to_string(s.value));
}

RC_GTEST_PROP(JinjaLaws, ProductsBindBeforeSumsAndBothFromTheLeft, ()) {
  const auto n = *rc::gen::container<std::vector<int>>(4, rc::gen::inRange(1, 50));
  const auto text = [&](int i) { return std::to_string(n[static_cast<std::size_t>(i)]); };
  RC_ASSERT(rendered("{{ " + text(0) + " - " + text(1) + " * " + text(2) + " - " + text(3) + " }}") ==
            std::to_string(n[0] - n[1] * n[2] - n[3]));
  RC_ASSERT(rendered("{{ " + text(0) + " // " + text(1) + " * " + text(2) + " % " + text(3) + " }}") ==
            std::to_string(n[0] / n[1] * n[2] % n[3]));
}

// -- sequences ---

/// range(n)[start:stop:step] by walking: Python's definition without its clamping.
std::vector<std::int64_t> slice_by_walking(std::int64_t n, std::int64_t start, std::int64_t stop,
                                           std::int64_t step) {
  const auto from_end = [&](std::int64_t i) { return i < 0 ? i + n : i; };
  std::vector<std::int64_t> picked;
  for (std::int64_t i = step > 0 ? 0 : n - 1; i >= 0 && i<n; i += step> 0 ? 1 : -1) {
    const std::int64_t first =
        step > 0 ? std::max<std::int64_t>(from_end(start), 0) : std::min(from_end(start), n - 1);
    const bool inside = step > 0 ? i >= first && i < from_end(stop) : i <= first && i > from_end(stop);
    if (inside && (i - first) % step == 0) {
      picked.push_back(i);
    }
  }
  return picked;
}

RC_GTEST_PROP(JinjaLaws, SlicesPickWhatWalkingPicks, ()) {
  const auto n = *rc::gen::inRange<std::int64_t>(0, 12);
  const auto start = *rc::gen::inRange<std::int64_t>(-15, 15);
  const auto stop = *rc::gen::inRange<std::int64_t>(-15, 15);
  const auto step = *rc::gen::distinctFrom(rc::gen::inRange<std::int64_t>(-14, 14), std::int64_t{0});
  std::string letters;
  std::string expected;
  for (std::int64_t i = 0; i < n; ++i) {
    letters += static_cast<char>('a' + i);
  }
  for (const std::int64_t i : slice_by_walking(n, start, stop, step)) {
    expected += letters[static_cast<std::size_t>(i)];
  }
  const json::object variables = {{"s", letters}, {"i", start}, {"j", stop}, {"k", step}};
  RC_ASSERT(rendered("{{ s[i:j:k] }}", variables) == expected);
  RC_ASSERT(rendered("{{ (s | list)[i:j:k] | join }}", variables) == expected);
}

RC_GTEST_PROP(JinjaLaws, SortOrdersAndKeepsEqualItemsInPlace, (const std::vector<std::uint8_t>& numbers)) {
  json::array items;
  std::vector<std::pair<int, int>> expected;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    items.push_back(json::object{{"k", numbers[i] % 4}, {"i", i}});
    expected.emplace_back(numbers[i] % 4, static_cast<int>(i));
  }
  std::stable_sort(expected.begin(), expected.end(), [](auto& a, auto& b) { return a.first < b.first; });
  std::string text;
  for (const auto& [k, i] : expected) {
    text += std::to_string(k) + ":" + std::to_string(i) + " ";
  }
  RC_ASSERT(rendered("{% for x in l | sort(attribute='k') %}{{ x.k }}:{{ x.i }} {% endfor %}",
                     {{"l", items}}) == text);
}

RC_GTEST_PROP(JinjaLaws, LoopCountsFromBothEnds, ()) {
  const auto n = *rc::gen::inRange(0, 20);
  std::string expected;
  for (int i = 0; i < n; ++i) {
    expected += std::to_string(i) + " " + std::to_string(i + 1) + " " + std::to_string(n - i) + " " +
                std::to_string(n - i - 1) + (i == 0 ? " first" : "") + (i == n - 1 ? " last" : "") + ";";
  }
  RC_ASSERT(
      rendered(
          "{% for x in range(n) %}{{ loop.index0 }} {{ loop.index }} {{ loop.revindex }} {{ loop.revindex0 }}"
          "{{ ' first' if loop.first }}{{ ' last' if loop.last }};{% endfor %}",
          {{"n", n}}) == expected);
}

// -- text ---

/// Text of many scripts, of white space, and of what means something to templates.
rc::Gen<std::string> any_text() {
  const auto piece =
      rc::gen::element<std::string>("a", "B", " ", "\n", "\t", "{{", "}}", "{%", "%}", "'", "\"", "\\", "é",
                                    "ß", "☃", "😀", "\u00a0", "\u2028", "0", "-", ",", "\x01", "#}", "\r");
  return rc::gen::map(rc::gen::container<std::vector<std::string>>(piece),
                      [](const std::vector<std::string>& parts) {
                        std::string all;
                        for (const auto& p : parts) {
                          all += p;
                        }
                        return all;
                      });
}

RC_GTEST_PROP(JinjaLaws, VariablesPrintAsTheyAre, ()) {
  const auto text = *any_text();
  RC_ASSERT(rendered("{{ x }}", {{"x", text}}) == text);
}

RC_GTEST_PROP(JinjaLaws, EscapedLiteralsMeanTheirText, ()) {
  const auto text = *any_text();
  const char quote = *rc::gen::element('\'', '"');
  std::string literal;
  for (const char c : text) {
    literal += c == '\\' || c == quote ? std::string{'\\', c}
               : c == '\r'             ? std::string("\\r")
                                       : std::string(1, c);
  }
  RC_ASSERT(rendered(std::string("{{ ") + quote + literal + quote + " }}") == text);
}

RC_GTEST_PROP(JinjaLaws, SplitAndJoinAreInverse, ()) {
  const json::object variables = {{"x", *any_text()},
                                  {"sep", *rc::gen::element<std::string>(" ", ",", "é", "aB", "{{")}};
  RC_ASSERT(
      rendered(
          "{{ sep.join(x.split(sep)) == x }}{{ sep.join(x.rsplit(sep, 2)) == x }}"
          "{{ x.replace(sep, '') == x.split(sep) | join }}{{ x.count(sep) + 1 == x.split(sep) | length }}",
          variables) == "TrueTrueTrueTrue");
}

RC_GTEST_PROP(JinjaLaws, ReversingTwiceAndSlicingInTwoChangeNothing, ()) {
  const json::object variables = {{"x", *any_text()}, {"i", *rc::gen::inRange(-10, 10)}};
  RC_ASSERT(rendered("{{ x[::-1][::-1] == x }}{{ x | reverse == x[::-1] }}{{ x[:i] + x[i:] == x }}"
                     "{{ x | list | join == x }}{{ x | length == x | list | length }}",
                     variables) == "TrueTrueTrueTrueTrue");
}

RC_GTEST_PROP(JinjaLaws, FindGivesThePlaceOfWhatItFinds, ()) {
  const json::object variables = {{"x", *any_text()},
                                  {"y", *rc::gen::element<std::string>("a", "é", "\n", "{%", "B ")}};
  const std::string check = "{% set i = x.find(y) %}{{ (i < 0) == (y not in x) }}"
                            "{{ i < 0 or x[i:i + y | length] == y }}{{ i < 0 or y not in x[:i] }}";
  RC_ASSERT(rendered(check, variables) == "TrueTrueTrue");
}

json::value any_json(int depth) {
  switch (*rc::gen::inRange(0, depth > 0 ? 7 : 5)) {
  case 0:
    return nullptr;
  case 1:
    return *rc::gen::arbitrary<bool>();
  case 2:
    return *rc::gen::arbitrary<std::int64_t>();
  case 3:
    return static_cast<double>(*rc::gen::arbitrary<std::int32_t>()) / 64;
  case 4:
    return json::value(*any_text());
  case 5: {
    json::array items;
    for (int n = *rc::gen::inRange(0, 4); n > 0; --n) {
      items.push_back(any_json(depth - 1));
    }
    return items;
  }
  default: {
    json::object entries;
    for (int n = *rc::gen::inRange(0, 4); n > 0; --n) {
      entries[*any_text()] = any_json(depth - 1);
    }
    return entries;
  }
  }
}

RC_GTEST_PROP(JinjaLaws, TojsonReadsBackAsTheSameValue, ()) {
  const json::value v = any_json(3);
  for (const char* source :
       {"{{ x | tojson }}", "{{ x | tojson(indent=3) }}", "{{ x | tojson(ensure_ascii=true) }}",
        "{{ x | tojson(separators=(',', ':')) }}"}) {
    const json::value back = json::parse(rendered(source, {{"x", v}}));
    RC_ASSERT(back == v);
  }
}

// -- white space ---

RC_GTEST_PROP(JinjaWhiteSpace, MinusOnBothSidesStripsTheTextBetweenTags, ()) {
  const auto pieces = *rc::gen::container<std::vector<std::string>>(
      rc::gen::element<std::string>("a", " ", "\n", "\t", "b c", "\n\n x \n", ""));
  std::string source = "{#--#}";
  std::string expected;
  for (const auto& piece : pieces) {
    source += piece + *rc::gen::element<std::string>("{%- set q = 1 -%}", "{#- c -#}", "{{- '' -}}");
    const auto begin = piece.find_first_not_of(" \n\t");
    expected +=
        begin == std::string::npos ? "" : piece.substr(begin, piece.find_last_not_of(" \n\t") - begin + 1);
  }
  RC_ASSERT(rendered(source) == expected);
}

RC_GTEST_PROP(JinjaWhiteSpace, BlocksOnLinesOfTheirOwnLeaveNothing, ()) {
  std::string source;
  std::string expected;
  for (int n = *rc::gen::inRange(0, 6); n > 0; --n) {
    if (*rc::gen::arbitrary<bool>()) {
      source += *rc::gen::element<std::string>("", " ", "\t  ") +
                *rc::gen::element<std::string>("{% set q = 1 %}", "{# c #}", "{% if 1 %}{% endif %}") + "\n";
    } else {
      const std::string line = *rc::gen::element<std::string>("text\n", "  indented\n", "\n");
      source += line;
      expected += line;
    }
  }
  // The newline that ends the template goes.
  RC_ASSERT(rendered(source + "end\n") == expected + "end");
}

} // namespace
} // namespace souffleur::jinja
