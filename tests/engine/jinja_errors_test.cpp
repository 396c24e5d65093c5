// What the table of jinja2's results cannot show: the texts of errors, time, threads, raw bytes.
#include "engine/jinja/concat.hpp"
#include "engine/jinja/template.hpp"
#include "tests/engine/jinja_render.hpp"

#include <boost/json.hpp>
#include <gtest/gtest.h>

#include <thread>

namespace souffleur::jinja {
namespace {

namespace json = boost::json;

TEST(JinjaParser, NamesWhatIsNotSupportedAndItsLine) {
  EXPECT_EQ(parse_error("a\n{% include 'x' %}"), "line 2: the statement 'include' is not supported here");
  EXPECT_EQ(parse_error("{% block b %}"), "line 1: the statement 'block' is not supported here");
  EXPECT_EQ(parse_error("\n\n{{ x | groupby('a') }}"), "line 3: unknown filter 'groupby'");
  EXPECT_EQ(parse_error("{{ x is escaped }}"), "line 1: unknown test 'escaped'");
  EXPECT_EQ(parse_error("{{ [1] | map('nothing') }}"), "line 1: unknown filter 'nothing'");
  EXPECT_EQ(parse_error("{{ [1] | selectattr('a', 'nothing') }}"), "line 1: unknown test 'nothing'");
  EXPECT_EQ(parse_error("{{ lipsum() }}"), "line 1: unknown function 'lipsum'");
  EXPECT_EQ(parse_error("{{ x.format(1) }}"), "line 1: unknown method 'format'");
  EXPECT_EQ(parse_error("{% for x in y recursive %}{% endfor %}"),
            "line 1: recursive loops are not supported");
  EXPECT_EQ(parse_error("{{ f(*x) }}"), "line 1: '*' and '**' arguments are not supported");
}

TEST(JinjaParser, NamesWhatIsMissingAndItsLine) {
  EXPECT_EQ(parse_error("{% if x %}\n{% for y in z %}\n"), "line 2: 'for' has no end");
  EXPECT_EQ(parse_error("{{ 1 +\n }}"), "line 2: expected an expression, found '}}'");
  EXPECT_EQ(parse_error("a\n{# b"), "line 2: a comment has no end");
  EXPECT_EQ(parse_error("\n{{ 'b }}"), "line 2: a string has no end");
  EXPECT_EQ(parse_error("{{ a b }}"), "line 1: expected '}}', found 'b'");
  EXPECT_EQ(parse_error("\xff"), "the template is not valid UTF-8");
}

TEST(JinjaParser, KnowsCallsOfWhatTheTemplateBinds) {
  EXPECT_EQ(parse_error("{{ f() }}{% macro f() %}{% endmacro %}"), "no error");
  EXPECT_EQ(parse_error("{% set ns.f = x %}{{ ns.f() }}"), "no error");
}

TEST(JinjaRenderer, SaysWhatFailedAndOnWhichLine) {
  EXPECT_EQ(render_error("a\n{{ raise_exception('no ' ~ 1) }}"), "line 2: no 1");
  EXPECT_EQ(render_error("{{ x.y }}"), "line 1: 'x' is undefined");
  EXPECT_EQ(render_error("\n{{ x.y.z }}", {{"x", json::object()}}),
            "line 2: 'dict object' has no attribute 'y'");
  EXPECT_EQ(render_error("{{ 'a' + none }}"), "line 1: '+' does not take str and None");
  EXPECT_EQ(render_error("{{ 9223372036854775807 + 1 }}"), "line 1: an integer grows beyond 64 bits");
}

TEST(JinjaRenderer, GivesTheTimeInTheFormatAskedFor) {
  const auto text = render("{{ strftime_now('%d %b %Y') }}");
  ASSERT_TRUE(text.ok()) << text.error();
  ASSERT_EQ(text->size(), 11u);
  EXPECT_GE(text->substr(0, 2), "01");
  EXPECT_LE(text->substr(0, 2), "31");
  EXPECT_EQ(text->substr(6, 3), " 20");
}

TEST(JinjaRenderer, OneProgramRendersOnManyThreads) {
  const auto program = template_program::parse("{% for x in l %}{{ 'a' ~ x }}{% endfor %}");
  ASSERT_TRUE(program.ok());
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&program, i] {
      for (int n = 0; n < 200; ++n) {
        EXPECT_EQ(program->render({{"l", json::array{i, n}}}).value(),
                  concat("a", std::to_string(i), "a", std::to_string(n)));
      }
    });
  }
  for (auto& t : threads) {
    t.join();
  }
}

TEST(JinjaRenderer, KeepsBytesThatAreNotUtf8) {
  const std::string bytes = "a\xff\xc3z\xe2\x82";
  EXPECT_EQ(render("{{ s }}{{ s[::-1][::-1] }}{{ s | length }}", {{"s", bytes}}).value(),
            bytes + bytes + "6");
}

} // namespace
} // namespace souffleur::jinja
