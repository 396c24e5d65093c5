#include "engine/grammar/gbnf_reader.hpp"

#include "tests/engine/grammar/naive_language.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <memory>

namespace souffleur {
namespace {

using namespace testing;
using namespace grammar;

bool fits(const std::string& source, const std::string& text) {
  auto read = read_gbnf(source);
  EXPECT_TRUE(read) << (read ? "" : read.error());
  auto compiled = automaton::compile(*read);
  EXPECT_TRUE(compiled) << (compiled ? "" : compiled.error());
  configurations all{std::make_shared<const automaton>(std::move(*compiled))};
  return all.can_end(after(all, text));
}

/// Writes an expression down as GBNF.
std::string written(const expression& what) {
  using kind = expression::kind;
  std::string made;
  switch (what.what) {
  case kind::bytes:
    return "\"" + what.text + "\"";
  case kind::characters:
    for (const auto& [first, last] : what.set.ranges())
      made += utf8_of(first) + "-" + utf8_of(last);
    return "[" + made + "]";
  case kind::rule:
    return "r" + std::to_string(what.callee);
  case kind::repetition:
    return "(" + written(what.parts.front()) + "){" + std::to_string(what.least) + "," +
           (what.most == unlimited ? "" : std::to_string(what.most)) + "}";
  case kind::choice:
  case kind::sequence:
    for (const auto& part : what.parts)
      made += (made.empty() ? "" : what.what == kind::choice ? " | " : " ") + written(part);
    return "( " + made + " )";
  case kind::avoiding:
    break;
  }
  return "";
}

/// A choice without parts cannot be written.
bool can_be_written(const expression& what) {
  return (what.what != expression::kind::choice || !what.parts.empty()) &&
         std::ranges::all_of(what.parts, can_be_written);
}

RC_GTEST_PROP(gbnf_property, what_is_written_down_and_read_again_means_the_same, ()) {
  const auto rules = any_rules();
  RC_PRE(std::ranges::all_of(rules.bodies, can_be_written));
  std::string source = "# a grammar\nroot ::= r0\n";
  for (std::size_t i = 0; i < rules.bodies.size(); ++i)
    source += "r" + std::to_string(i) + " ::= " + written(rules.bodies[i]) + "\n";
  const auto read = read_gbnf(source);
  RC_ASSERT(read.ok());
  RC_ASSERT(naive_language(rules, 5).of_root() == naive_language(*read, 5).of_root());
}

TEST(gbnf, an_example_of_llama_cpp_is_read) {
  const std::string chess = R"(# Specifies chess moves as a list in algebraic notation, using PGN conventions

# Force first move to "1. ", then any 1-2 digit number after, relying on model to follow the pattern
root    ::= "1. " move " " move "\n" ([1-9] [0-9]? ". " move " " move "\n")+
move    ::= (pawn | nonpawn | castle) [+#]?

# piece type, optional file/rank, optional capture, dest file & rank
nonpawn ::= [NBKQR] [a-h]? [1-8]? "x"? [a-h] [1-8]

# optional file & capture, dest file & rank, optional promotion
pawn    ::= ([a-h] "x")? [a-h] [1-8] ("=" [NBKQR])?

castle  ::= "O-O" "-O"?
)";
  EXPECT_TRUE(fits(chess, "1. e4 e5\n2. Nf3 Nc6\n3. O-O exd5+\n"));
  EXPECT_FALSE(fits(chess, "1. e4 e5\n2. Nf9 Nc6\n"));
}

TEST(gbnf, lines_go_on_within_groups_and_behind_a_bar) {
  const std::string source = "root ::= (\n  \"a\"\n  \"b\" # two\n) |\n  \"c\"\n";
  EXPECT_TRUE(fits(source, "ab"));
  EXPECT_TRUE(fits(source, "c"));
  EXPECT_FALSE(fits(source, "a"));
}

TEST(gbnf, escapes_and_classes_are_read) {
  const std::string source = R"(root ::= "\n\x41\u00E9\"" [^\]a-c\-] .)";
  EXPECT_TRUE(fits(source, "\nA\u00E9\"dz"));
  EXPECT_FALSE(fits(source, "\nA\u00E9\"]z"));
  EXPECT_FALSE(fits(source, "\nA\u00E9\"-z"));
}

TEST(gbnf, errors_say_what_and_where) {
  for (const auto* source :
       {"", "x ::= \"a\"", "root ::= y", "root ::= \"a", "root ::= [a", "root ::= (\"a\"", "root = \"a\"",
        "root ::= \"a\"\nroot ::= \"b\"", "root ::= \"a\"{3,2}", "root ::= \"\\q\"", "root ::= <[7]>",
        "::= x", "root ::= \"a\")"}) {
    const auto read = read_gbnf(source);
    ASSERT_FALSE(read) << source;
    EXPECT_NE(read.error().find("at character"), std::string::npos) << read.error();
  }
}

} // namespace
} // namespace souffleur
