#include "engine/grammar/output_grammar.hpp"

#include "engine/grammar/json_literal.hpp"
#include "tests/engine/grammar/naive_language.hpp"
#include "tests/engine/grammar/random_schema.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <memory>
#include <optional>

namespace souffleur {
namespace {

using namespace testing;
using namespace grammar;

struct read_schema {
  std::unique_ptr<configurations> all;
  std::string error;
};

read_schema read(const json::value& schema) {
  const auto rules = rules_of({language::json_schema, json::serialize(schema)});
  if (!rules)
    return {nullptr, rules.error()};
  auto compiled = automaton::compile(*rules);
  if (!compiled)
    return {nullptr, compiled.error()};
  return {std::make_unique<configurations>(std::make_shared<const automaton>(std::move(*compiled))), ""};
}

bool fits(const std::string& schema, std::string_view text) {
  const auto made = read(json::parse(schema));
  EXPECT_TRUE(made.all) << made.error;
  return made.all && made.all->can_end(after(*made.all, text));
}

/// Random bytes, more and more of those that lead out of strings and lists; nothing if no end is found.
std::optional<std::string> walk(configurations& all) {
  std::string text;
  auto at = all.start();
  while (text.size() < 600) {
    if (all.can_end(at) && (all.is_over(at) || *rc::gen::inRange(0, 2) == 0))
      return text;
    std::vector<std::uint8_t> next;
    for (int byte = 0; byte < 256; ++byte)
      if (all.after(at, static_cast<std::uint8_t>(byte)) != no_configuration)
        next.push_back(static_cast<std::uint8_t>(byte));
    const std::string_view closers = text.size() > 60 ? "]}\"nlu" : "\":,";
    const auto closer = std::ranges::find_if(
        next, [&](std::uint8_t b) { return closers.find(static_cast<char>(b)) != std::string_view::npos; });
    const auto byte = closer != next.end() && *rc::gen::inRange(0, 3) > 0
                          ? *closer
                          : next[*rc::gen::inRange<std::size_t>(0, next.size())];
    text += static_cast<char>(byte);
    at = all.after(at, byte);
  }
  return std::nullopt;
}

RC_GTEST_PROP(schema_property, whatever_fits_is_valid, ()) {
  const auto schema = any_document();
  const auto made = read(schema);
  if (!made.all) // no value is valid
    return;
  const auto text = walk(*made.all);
  if (!text)
    return;
  json::error_code error;
  const auto value = json::parse(*text, error);
  RC_LOG() << json::serialize(schema) << "\n" << *text << "\n";
  RC_ASSERT(!error);
  RC_ASSERT(validator{schema}.valid(schema, value));
}

RC_GTEST_PROP(schema_property, every_valid_value_fits_as_it_is_written_most_compactly, ()) {
  const auto schema = any_document();
  const auto value = value_maker{schema}.of(schema);
  RC_PRE(value.has_value());
  RC_PRE(validator{schema}.valid(schema, *value));
  const auto made = read(schema);
  RC_LOG() << json::serialize(schema) << "\n" << json_literal(*value) << "\n" << made.error << "\n";
  RC_ASSERT(made.all != nullptr);
  RC_ASSERT(made.all->can_end(after(*made.all, json_literal(*value))));
}

/// Often beside a bound, or where numbers get longer: there a range may be wrong.
json::value any_number_for(const json::object& schema) {
  std::vector<double> places{0, 9, 10, 99, 100, 999, 1000};
  for (const auto* keyword : {"minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"})
    for (int i = 0; schema.contains(keyword) && i < 4; ++i)
      places.push_back(schema.at(keyword).to_number<double>());
  const double number = *rc::gen::weightedOneOf<double>(
                            {{1, rc::gen::map(rc::gen::inRange(-5000, 9000), [](int n) { return n / 32.0; })},
                             {3, rc::gen::elementOf(places)}}) +
                        *rc::gen::element(-1.0, -0.5, -1 / 32.0, 0.0, 0.0, 1 / 32.0, 0.5, 1.0);
  const double made = *rc::gen::element(1.0, 1.0, 1.0, -1.0) * number;
  return made == static_cast<double>(static_cast<int>(made)) ? json::value(static_cast<int>(made))
                                                             : json::value(made);
}

RC_GTEST_PROP(schema_property, bounds_hold_for_every_number, ()) {
  const auto schema = any_number_schema();
  const auto made = read(schema);
  if (!made.all)
    return;
  for (int i = 0; i < 100; ++i) {
    const auto value = any_number_for(schema);
    const auto text = json_literal(value);
    RC_LOG() << json::serialize(schema) << " " << text << "\n";
    const bool is_whole = text.find('.') == std::string::npos;
    RC_ASSERT(made.all->can_end(after(*made.all, text)) ==
              ((is_whole || schema.at("type") == "number") && validator{schema}.valid(schema, value)));
  }
}

TEST(schema, bounds_may_be_far_from_one_and_two_at_a_time) {
  EXPECT_TRUE(fits(R"({"type": "number", "minimum": 1e-7})", "0.0000002"));
  EXPECT_FALSE(fits(R"({"type": "number", "minimum": 1e-7})", "0.00000002"));
  EXPECT_TRUE(fits(R"({"type": "integer", "maximum": 2.5e15})", "2500000000000000"));
  EXPECT_FALSE(fits(R"({"type": "integer", "maximum": 2.5e15})", "2500000000000001"));
  for (const auto* both : {R"({"type": "integer", "minimum": 3, "exclusiveMinimum": 5})",
                           R"({"type": "integer", "minimum": 6, "exclusiveMinimum": 2})"}) {
    EXPECT_FALSE(fits(both, "5")) << both;
    EXPECT_TRUE(fits(both, "6")) << both;
  }
}

TEST(schema, text_is_counted_in_characters) {
  const std::string schema = R"({"type": "string", "minLength": 2, "maxLength": 3})";
  for (const auto* text : {R"("ab")", R"("äöü")", R"("\n\u00e9")", R"("\ud83d\ude00a")"})
    EXPECT_TRUE(fits(schema, text)) << text;
  for (const auto* text : {R"("a")", R"("abcd")", R"("äöüx")", R"("\ud83da")", "\"a\nb\""})
    EXPECT_FALSE(fits(schema, text)) << text;
}

TEST(schema, properties_come_in_their_order_and_others_behind_them) {
  const std::string schema =
      R"({"type": "object", "properties": {"a": {"type": "integer"}, "ab": {"type": "null"}},
                                 "required": ["ab"], "additionalProperties": {"type": "boolean"}})";
  for (const auto* text : {R"({"a":1,"ab":null})", R"({"ab":null})", R"({ "ab" : null , "b":true,"":false })",
                           R"({"ab":null,"abc":true})", "{\n  \"ab\": null\n}"})
    EXPECT_TRUE(fits(schema, text)) << text;
  for (const auto* text : {R"({"ab":null,"a":1})", R"({"a":1})", R"({})", R"({"ab":null,"a":true})",
                           R"({"ab":null,"\u0061":true})", R"({"ab":null,"b":1})", "{\n\n\"ab\":null}"})
    EXPECT_FALSE(fits(schema, text)) << text;
}

TEST(schema, types_may_be_several_or_follow_from_the_keywords) {
  EXPECT_TRUE(fits(R"({"type": ["integer", "null"], "minimum": 3})", "null"));
  EXPECT_FALSE(fits(R"({"type": ["integer", "null"], "minimum": 3})", "2"));
  EXPECT_TRUE(fits(R"({"type": "string", "nullable": true})", "null"));
  EXPECT_FALSE(fits(R"({"properties": {"a": {}}})", "1"));
  EXPECT_TRUE(fits(R"({"properties": {"a": {}}})", R"({"a":[1,{"b":"c"}]})"));
  EXPECT_TRUE(fits(R"({})", R"([null])"));
}

TEST(schema, parts_that_all_have_to_hold_are_joined) {
  const std::string schema =
      R"({"allOf": [{"$ref": "#/$defs/named"}, {"properties": {"age": {"type": "integer", "minimum": 0}},
      "required": ["age"]}], "$defs": {"named": {"type": "object", "properties": {"name": {"type": "string"}},
      "required": ["name"]}}})";
  EXPECT_TRUE(fits(schema, R"({"name":"x","age":3})") || fits(schema, R"({"age":3,"name":"x"})"));
  EXPECT_FALSE(fits(schema, R"({"name":"x"})"));
  const std::string either =
      R"({"type": "object", "properties": {"a": {"type": "null"}, "b": {"type": "null"}},
      "anyOf": [{"required": ["a"]}, {"required": ["b"]}]})";
  EXPECT_TRUE(fits(either, R"({"a":null})"));
  EXPECT_TRUE(fits(either, R"({"b":null})"));
  EXPECT_FALSE(fits(either, R"({})"));
}

TEST(schema, formats_are_checked) {
  const auto schema = [](const std::string& format) {
    return R"({"type": "string", "format": ")" + format + "\"}";
  };
  EXPECT_TRUE(fits(schema("date"), R"("2026-02-28")"));
  EXPECT_FALSE(fits(schema("date"), R"("2026-02-30")"));
  EXPECT_TRUE(fits(schema("date-time"), R"("2026-11-26T09:40:13Z")"));
  EXPECT_FALSE(fits(schema("time"), R"("24:00:00Z")"));
  EXPECT_TRUE(fits(schema("uuid"), R"("123e4567-e89b-12d3-a456-426614174000")"));
  EXPECT_TRUE(fits(schema("email"), R"("a.b@example.org")"));
  EXPECT_FALSE(fits(schema("email"), R"("a.b@@example.org")"));
  EXPECT_TRUE(fits(schema("ipv4"), R"("127.0.0.1")"));
  EXPECT_FALSE(fits(schema("ipv4"), R"("127.0.0.256")"));
  EXPECT_TRUE(fits(schema("uri"), R"("https://example.org/a?b=c")"));
}

TEST(schema, what_is_not_supported_is_named_by_its_pointer) {
  const auto error = [](const std::string& schema) { return read(json::parse(schema)).error; };
  EXPECT_NE(error(R"({"properties": {"a/b": {"if": {}}}})").find("#/properties/a~1b/if"), std::string::npos);
  for (const auto& [schema, part] : std::vector<std::pair<std::string, std::string>>{
           {R"({"not": {}})", "#/not"},
           {R"({"type": "array", "uniqueItems": true})", "#/uniqueItems"},
           {R"({"type": "array", "items": {"type": "array", "contains": {}}})", "#/items/contains"},
           {R"({"patternProperties": {}})", "#/patternProperties"},
           {R"-({"type": "string", "pattern": "(?=a)"})-", "#/pattern"},
           {R"({"type": "string", "format": "odd"})", "#/format"},
           {R"({"type": "strin"})", "#/type"},
           {R"({"type": "number", "multipleOf": 2})", "#/multipleOf"},
           {R"({"minLength": -1})", "#/minLength"},
           {R"({"minimum": "x"})", "#/minimum"},
           {R"({"$ref": "#/$defs/x"})", "#/$ref"},
           {R"({"$ref": "other.json"})", "#/$ref"},
           {R"({"enum": [1], "minimum": 0})", "#/minimum"},
           {R"({"required": ["a"], "additionalProperties": false})", "#/required"},
           {R"({"allOf": [{"pattern": "a"}, {"pattern": "b"}]})", "#/allOf/1"},
           {R"({"items": 3})", "#/items"}})
    EXPECT_NE(error(schema).find("\"" + part + "\""), std::string::npos) << schema << ": " << error(schema);
  for (const auto* schema :
       {R"({"$ref": "#"})", R"({"allOf": [{"$ref": "#"}]})", R"({"anyOf": [{"$ref": "#"}, {"$ref": "#"}]})",
        R"({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]})",
        R"({"minimum": 3, "maximum": 2, "type": "integer"})", "false"})
    EXPECT_NE(error(schema), "") << schema;
}

TEST(schema, tool_calls_have_the_form_that_qwen_was_taught) {
  const std::string source = R"({"functions": [{"name": "add", "parameters": {"type": "object", "properties":
      {"a": {"type": "integer"}}, "required": ["a"]}}, {"name": "now"}], "parallel": true, "required": true})";
  const auto made = rules_of({language::tool_calls, source});
  ASSERT_TRUE(made) << made.error();
  configurations all{std::make_shared<const automaton>(std::move(*automaton::compile(*made)))};
  const std::string add = "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 3}}\n</tool_call>";
  EXPECT_TRUE(all.can_end(after(all, add)));
  EXPECT_TRUE(
      all.can_end(after(all, add + "\n<tool_call>\n{\"name\":\"now\",\"arguments\":{}}\n</tool_call>")));
  for (const auto* text :
       {"", "x", "<tool_call>\n{\"name\": \"sub\"", "<tool_call>\n{\"name\": \"add\", \"arguments\": {}"})
    EXPECT_FALSE(all.can_end(after(all, text))) << text;
}

} // namespace
} // namespace souffleur
