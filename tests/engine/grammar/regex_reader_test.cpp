#include "engine/grammar/regex_reader.hpp"

#include "tests/engine/grammar/naive_language.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <memory>
#include <regex>

namespace souffleur {
namespace {

using namespace testing;
using namespace grammar;

std::unique_ptr<configurations> matcher(std::string_view pattern, regex_match match = regex_match::whole) {
  auto read = read_regex(pattern, match);
  if (!read)
    return nullptr;
  rules of;
  of.root = of.add("root", std::move(*read));
  auto compiled = automaton::compile(of);
  return compiled ? std::make_unique<configurations>(std::make_shared<const automaton>(std::move(*compiled)))
                  : nullptr;
}

std::string any_pattern(int depth) {
  switch (*rc::gen::inRange(0, depth <= 0 ? 3 : 8)) {
  case 0:
    return *rc::gen::element<std::string>("a", "b", "1", "_", "\\.", "\\x61", "\\u0062");
  case 1:
    return *rc::gen::element<std::string>("[ab]", "[^a]", "[a-c1]", "\\d", "\\w", "\\s", "\\D", "[\\d_]",
                                          "[b-]");
  case 2:
    return ".";
  case 3:
    return any_pattern(depth - 1) + any_pattern(depth - 1);
  case 4:
    return "(" + any_pattern(depth - 1) + "|" + any_pattern(depth - 1) + ")";
  case 5:
    return "(?:" + any_pattern(depth - 1) + ")" +
           *rc::gen::element<std::string>("*", "+", "?", "{2}", "{1,}", "{0,2}", "*?");
  case 6:
    return "(" + any_pattern(depth - 1) + ")";
  default:
    return any_pattern(depth - 1) + any_pattern(depth - 1) + any_pattern(depth - 1);
  }
}

std::string any_text() {
  return *rc::gen::container<std::string>(rc::gen::element('a', 'b', 'c', '1', '_', '.', ' ', '-'));
}

RC_GTEST_PROP(regex_property, a_whole_match_is_that_of_the_standard_library, ()) {
  const auto pattern = any_pattern(3);
  const auto ours = matcher(pattern);
  RC_ASSERT(ours != nullptr);
  const std::regex theirs{pattern};
  for (int i = 0; i < 20; ++i) {
    const auto text = any_text().substr(0, 12);
    RC_ASSERT(ours->can_end(after(*ours, text)) == std::regex_match(text, theirs));
  }
}

RC_GTEST_PROP(regex_property, a_part_that_matches_is_that_of_the_standard_library, ()) {
  auto pattern = any_pattern(2);
  if (*rc::gen::arbitrary<bool>())
    pattern = "^" + pattern;
  if (*rc::gen::arbitrary<bool>())
    pattern += "$";
  const auto ours = matcher(pattern, regex_match::part);
  RC_ASSERT(ours != nullptr);
  const std::regex theirs{pattern};
  for (int i = 0; i < 20; ++i) {
    const auto text = any_text().substr(0, 12);
    RC_ASSERT(ours->can_end(after(*ours, text)) == std::regex_search(text, theirs));
  }
}

TEST(regex, characters_are_unicode) {
  const auto ours = matcher("[ä-ü]{2}.\\u20AC[^a]");
  EXPECT_TRUE(ours->can_end(after(*ours, "äöx€😀")));
  EXPECT_FALSE(ours->can_end(after(*ours, "äöx€a")));
  EXPECT_FALSE(ours->can_end(after(*ours, "äö\xFF€b")));
}

TEST(regex, what_is_not_supported_is_an_error_that_says_where) {
  for (const auto* pattern : {"(?=a)", "(?!a)",  "(?<=a)",   "\\b",   "\\1",    "\\p{L}", "a**",
                              "*",     "a{2,1}", "a{70000}", "[b-a]", "[a",     "(a",     "a)",
                              "a^b",   "(a$)b",  "\\",       "\\u12", "[\\d-z", "a{",     "x{a}"}) {
    const auto read = read_regex(pattern, regex_match::whole);
    ASSERT_FALSE(read) << pattern;
    EXPECT_NE(read.error().find("at character"), std::string::npos) << read.error();
  }
}

TEST(regex, json_text_has_escapes_where_json_needs_them) {
  auto read = read_regex("[\"\\\\\\n\\x01a]+", regex_match::whole);
  ASSERT_TRUE(read);
  rules of;
  of.root = of.add("root", as_json_text(*read));
  configurations all{std::make_shared<const automaton>(std::move(*automaton::compile(of)))};
  EXPECT_TRUE(all.can_end(after(all, R"(a\"\\\n\u0001)")));
  for (const auto* text : {"\"", "\\", "\n", "\\u000a", "\\a"})
    EXPECT_FALSE(all.can_end(after(all, text))) << text;
}

} // namespace
} // namespace souffleur
