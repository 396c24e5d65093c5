// Reading fields: kinds, ranges, and complaints that name the parameter.
#include "net/json_fields.hpp"

#include "tests/net/random_json.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>

namespace souffleur {
namespace {

namespace json = boost::json;
using namespace testing;

struct field {
  explicit field(const std::string& text) : object(json::parse(text).as_object()), fields(object) {}
  std::string error() const { return fields.error() ? fields.error()->parameter : ""; }
  json::object object;
  json_fields fields;
};

TEST(json_fields, absentAndNullAreNothing) {
  for (const auto* text : {"{}", R"({"x":null})"}) {
    field read{text};
    EXPECT_FALSE(read.fields.integer("x", 0, 1));
    EXPECT_FALSE(read.fields.number("x", {0, 1}));
    EXPECT_FALSE(read.fields.boolean("x"));
    EXPECT_FALSE(read.fields.text("x"));
    EXPECT_EQ(read.fields.array("x"), nullptr);
    EXPECT_EQ(read.fields.object("x"), nullptr);
    EXPECT_FALSE(read.fields.error());
  }
}

TEST(json_fields, anIntegerMayBeWrittenAsANumber) {
  EXPECT_EQ(field{R"({"x":5})"}.fields.integer("x", 5, 5), 5);
  EXPECT_EQ(field{R"({"x":5.0})"}.fields.integer("x", 0, 9), 5);
  EXPECT_EQ(field{R"({"x":-1e2})"}.fields.integer("x", -100, 0), -100);
  for (const auto* wrong : {"4.5", "4", "6", "1e300", "18446744073709551615", "\"5\"", "true", "[]"}) {
    field read{std::string{R"({"x":)"} + wrong + "}"};
    EXPECT_FALSE(read.fields.integer("x", 5, 5)) << wrong;
    EXPECT_EQ(read.error(), "x") << wrong;
  }
}

TEST(json_fields, aNumberStaysInItsRange) {
  EXPECT_EQ(field{R"({"x":0})"}.fields.number("x", {0, 1}), 0.0);
  EXPECT_EQ(field{R"({"x":1})"}.fields.number("x", {0, 1, true}), 1.0);
  for (const auto* wrong : {"0", "-0.0", "1.0000001", "-1", "\"1\"", "false"}) {
    field read{std::string{R"({"x":)"} + wrong + "}"};
    EXPECT_FALSE(read.fields.number("x", {0, 1, true})) << wrong;
    EXPECT_EQ(read.error(), "x") << wrong;
  }
  // Above 0, but not as the float that it is used as.
  EXPECT_FALSE(field{R"({"x":1e-60})"}.fields.number("x", {0, 1, true}));
}

TEST(json_fields, theFirstComplaintStaysAndHasItsPrefix) {
  const auto object = json::parse(R"({"a":"x","b":[]})").as_object();
  json_fields fields{object, "outer."};
  fields.boolean("b");
  fields.integer("a", 0, 1);
  ASSERT_TRUE(fields.error());
  EXPECT_EQ(fields.error()->parameter, "outer.b");
  EXPECT_EQ(fields.error()->message, "'outer.b' must be a boolean, not an array.");
  EXPECT_EQ(fields.error()->code, "invalid_type");
  EXPECT_EQ(fields.error()->status, 400);
}

RC_GTEST_PROP(json_fields_law, aReaderGivesTheValueOrAComplaint, ()) {
  const auto value = *rc::gen::oneOf(json_number(), json_value());
  const json::object object{{"x", value}};
  const auto least = *rc::gen::inRange<std::int64_t>(-3, 3);
  const auto most = least + *rc::gen::inRange<std::int64_t>(0, 5);
  json_fields integers{object};
  const auto integer = integers.integer("x", least, most);
  RC_ASSERT((integer || integers.error()) == !value.is_null());
  RC_ASSERT(!(integer && integers.error()));
  if (integer)
    RC_ASSERT(*integer >= least && *integer <= most &&
              static_cast<double>(*integer) == value.to_number<double>());

  json_fields numbers{object};
  const auto number = numbers.number("x", {static_cast<double>(least), static_cast<double>(most)});
  RC_ASSERT((number || numbers.error()) == !value.is_null());
  RC_ASSERT(number.has_value() ==
            (value.is_number() && value.to_number<double>() >= static_cast<double>(least) &&
             value.to_number<double>() <= static_cast<double>(most)));

  json_fields texts{object};
  RC_ASSERT(texts.text("x").has_value() == value.is_string());
  RC_ASSERT(texts.error().has_value() == !(value.is_string() || value.is_null()));
  json_fields objects{object};
  RC_ASSERT((objects.object("x") != nullptr) == value.is_object());
  json_fields arrays{object};
  RC_ASSERT((arrays.array("x") != nullptr) == value.is_array());
  RC_ASSERT(arrays.error().has_value() == !(value.is_array() || value.is_null()));
}

RC_GTEST_PROP(json_fields_law, repairedTextIsJsonAndValidTextStays, ()) {
  const auto valid = *unicode_text();
  RC_ASSERT(valid_utf8(valid) == valid);
  const auto repaired = valid_utf8(*broken_text());
  json::parse(json::serialize(json::value(repaired))); // Boost refuses invalid UTF-8
  RC_ASSERT(valid_utf8(repaired) == repaired);
}

} // namespace
} // namespace souffleur
