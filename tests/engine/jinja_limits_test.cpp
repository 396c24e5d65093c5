// Hostile templates end in an error, soon and within the stack.
#include "engine/jinja/template.hpp"
#include "tests/engine/jinja_render.hpp"

#include <boost/json.hpp>
#include <gtest/gtest.h>

namespace souffleur::jinja {
namespace {

namespace json = boost::json;

std::string repeat(std::string_view part, int n) {
  std::string all;
  for (int i = 0; i < n; ++i) {
    all += part;
  }
  return all;
}

TEST(JinjaLimits, EndlessWorkFails) {
  const std::string many = "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}";
  EXPECT_EQ(render_error(many), "line 1: the template takes too many steps");
  EXPECT_NE(render_error("{% macro f() %}{{ f() }}{{ f() }}{% endmacro %}{{ f() }}"), "no error");
}

TEST(JinjaLimits, DoublingTextFails) {
  const std::string doubling =
      "{% set ns = namespace(s='x') %}{% for i in range(99) %}{% set ns.s = ns.s + ns.s %}{% endfor %}";
  EXPECT_EQ(render_error(doubling), "line 1: the text grows beyond 67108864 bytes");
  EXPECT_NE(render_error("{{ 'abcdefgh' * 1000000000000 }}"), "no error");
  EXPECT_NE(render_error("{{ 'a'.center(1000000000000) }}"), "no error");
  EXPECT_NE(render_error("{{ 'a' | indent(1000000000000, true) }}"), "no error");
  EXPECT_NE(render_error("{{ [1] | tojson(indent=1000000000000) }}"), "no error");
  EXPECT_NE(render_error("{% set s = 'a' * 1000000 %}{{ s.replace('a', s) }}"), "no error");
  EXPECT_NE(render_error("{% set s = 'a' * 1000000 %}{{ s.replace('', s) }}"), "no error");
}

TEST(JinjaLimits, GrowingListsFail) {
  EXPECT_NE(render_error("{{ [1] * 1000000000000 }}"), "no error");
  EXPECT_NE(
      render_error(
          "{% set ns = namespace(l=[1]) %}{% for i in range(99) %}{% set ns.l = ns.l + ns.l %}{% endfor %}"),
      "no error");
}

TEST(JinjaLimits, SharedListsCannotMakeExponentialText) {
  const std::string sharing =
      "{% set ns = namespace(l=[1]) %}{% for i in range(60) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}";
  EXPECT_NE(render_error(sharing + "{{ ns.l }}"), "no error");
  EXPECT_NE(render_error(sharing + "{{ ns.l | tojson }}"), "no error");
  EXPECT_NE(render_error(sharing + "{% set a = ns.l %}" + sharing + "{{ a == ns.l }}"), "no error");
}

TEST(JinjaLimits, DeepValuesFail) {
  const std::string deep =
      "{% set ns = namespace(l=[]) %}{% for i in range(90000) %}{% set ns.l = WRAP %}{% endfor %}";
  for (const std::string_view wrap :
       {"[ns.l]", "(ns.l,)", "{'a': ns.l}", "dict(a=ns.l)", "[ns.l] | map('list') | list"}) {
    std::string source = deep;
    source.replace(source.find("WRAP"), 4, wrap);
    EXPECT_EQ(render_error(source), "line 1: lists and dicts nest too deeply") << wrap;
  }
  json::value nested = json::array();
  for (int i = 0; i < 1000; ++i) {
    nested = json::array{std::move(nested)};
  }
  EXPECT_EQ(render_error("{{ x }}", {{"x", nested}}), "lists and dicts nest too deeply");
}

TEST(JinjaLimits, NamespacesMayHoldThemselves) {
  EXPECT_EQ(
      render("{% set a = namespace() %}{% set a.a = a %}{% set a.l = [a] %}{{ a.a.a == a }}{{ a }}").value(),
      "True<namespace>");
}

TEST(JinjaLimits, DeepSyntaxFails) {
  constexpr int n = 100'000;
  const std::string ends[][3] = {
      {"(", "1", ")"},      {"[", "1", "]"},           {"not ", "1", ""},         {"-", "1", ""},
      {"1 + ", "1", ""},    {"", "x", ".a"},           {"", "x", "[0]"},          {"", "1", "|abs"},
      {"", "1", " is odd"}, {"1 if 1 else ", "1", ""}, {"", "1", " if 1 else 1"}, {"1 and ", "1", ""},
      {"1 ** ", "1", ""},   {"{1:", "1", "}"},         {"", "x", "()"},           {"1 if ", "1", ""}};
  for (const auto& [before, middle, after] : ends) {
    EXPECT_NE(parse_error("{{ " + repeat(before, n) + middle + repeat(after, n) + " }}"), "no error")
        << before << after;
  }
  EXPECT_NE(parse_error(repeat("{% if 1 %}", n) + repeat("{% endif %}", n)), "no error");
  EXPECT_NE(parse_error("{% set " + repeat("(", n) + "a" + repeat(")", n) + " = 1 %}"), "no error");
  EXPECT_EQ(render("{{ " + repeat("1 ~ ", 1000) + "1 }}").value(), repeat("1", 1001));
}

TEST(JinjaLimits, DeepestAllowedSyntaxRenders) {
  EXPECT_EQ(render("{{ " + repeat("'a' + ", 190) + "'a' }}").value(), repeat("a", 191));
  EXPECT_EQ(render(repeat("{% if 1 %}", 190) + "x" + repeat("{% endif %}", 190)).value(), "x");
}

TEST(JinjaLimits, RecursionFailsBeforeTheStackEnds) {
  EXPECT_EQ(render_error("{% macro f(n) %}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}"),
            "line 1: the template nests too deeply");
  const std::string sums =
      "{% macro f(n) %}{{ " + repeat("'' + ", 150) + "f(n + 1) }}{% endmacro %}{{ f(0) }}";
  EXPECT_EQ(render_error(sums), "line 1: the template nests too deeply");
  EXPECT_EQ(
      render("{% macro f(n) %}{% if n > 0 %}{{ f(n - 1) }}{% endif %}.{% endmacro %}{{ f(50) }}").value(),
      repeat(".", 51));
  EXPECT_EQ(render_error("{{ 'a' | map(" + repeat("'map', ", 5000) + "'upper') | list }}"),
            "line 1: the template nests too deeply");
}

TEST(JinjaLimits, OutputIsBounded) {
  limits small;
  small.max_output_bytes = 10;
  EXPECT_EQ(render("{{ 'a' * 10 }}", {}, small).value(), "aaaaaaaaaa");
  EXPECT_EQ(render_error("{{ 'a' * 10 }}b", {}, small), "line 1: the text grows beyond 10 bytes");
}

} // namespace
} // namespace souffleur::jinja
