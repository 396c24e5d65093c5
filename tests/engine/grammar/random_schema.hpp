// Random JSON schemas, values that are valid by construction, and a validator that knows nothing of grammars.
#pragma once

#include <boost/json.hpp>
#include <rapidcheck.h>

#include <algorithm>
#include <cmath>
#include <regex>
#include <string>
#include <vector>

namespace souffleur::testing {

namespace json = boost::json;

inline std::string any_name() {
  return *rc::gen::element<std::string>("a", "b", "ab", "abc", "é", "x y", "a/b", "\"q");
}

inline json::value any_leaf_value() {
  switch (*rc::gen::inRange(0, 5)) {
  case 0:
    return *rc::gen::inRange(-20, 20);
  case 1:
    return json::value(any_name());
  case 2:
    return nullptr;
  case 3:
    return *rc::gen::arbitrary<bool>();
  default:
    return *rc::gen::element(0.5, -2.25, 1e30);
  }
}

inline json::value any_schema(int depth);

inline json::object any_object_schema(int depth) {
  json::object properties;
  json::array required;
  const int n = *rc::gen::inRange(0, 5);
  for (int i = 0; i < n; ++i) {
    const auto name = any_name();
    properties[name] = any_schema(depth - 1);
    if (*rc::gen::arbitrary<bool>() && std::ranges::find(required, json::value(name)) == required.end())
      required.emplace_back(name);
  }
  json::object schema{{"type", "object"}, {"properties", properties}, {"required", required}};
  switch (*rc::gen::inRange(0, 4)) {
  case 0:
    schema["additionalProperties"] = false;
    break;
  case 1:
    schema["additionalProperties"] = any_schema(0);
    break;
  case 2:
    schema["additionalProperties"] = true;
    break;
  default:
    break;
  }
  return schema;
}

inline json::object any_array_schema(int depth) {
  json::object schema{{"type", "array"}};
  if (*rc::gen::arbitrary<bool>())
    schema["items"] = any_schema(depth - 1);
  if (*rc::gen::inRange(0, 3) == 0) {
    json::array prefix;
    for (int i = *rc::gen::inRange(1, 4); i > 0; --i)
      prefix.push_back(any_schema(depth - 1));
    schema["prefixItems"] = prefix;
  }
  const int least = *rc::gen::inRange(0, 4);
  if (*rc::gen::arbitrary<bool>())
    schema["minItems"] = least;
  if (*rc::gen::arbitrary<bool>())
    schema["maxItems"] = *rc::gen::inRange(least, 6);
  return schema;
}

inline json::object any_number_schema() {
  const bool whole = *rc::gen::arbitrary<bool>();
  json::object schema{{"type", whole ? "integer" : "number"}};
  const auto bound = [] {
    return *rc::gen::arbitrary<bool>() ? json::value(*rc::gen::inRange(-1200, 1200))
                                       : json::value(*rc::gen::inRange(-400, 400) / 16.0);
  };
  const auto least = bound();
  if (*rc::gen::arbitrary<bool>())
    schema[*rc::gen::element("minimum", "exclusiveMinimum")] = least;
  if (*rc::gen::arbitrary<bool>())
    schema[*rc::gen::element("maximum", "exclusiveMaximum")] =
        least.to_number<double>() + *rc::gen::element(0.0, 0.5, 1.0, 3.0, 90.0, 1500.0);
  return schema;
}

inline json::object any_string_schema() {
  json::object schema{{"type", "string"}};
  switch (*rc::gen::inRange(0, 3)) {
  case 0:
    schema["pattern"] = *rc::gen::element("^[a-c]{2,3}$", "b", "^(x|\"y\")+", "\\d\\d$");
    break;
  case 1: {
    const int least = *rc::gen::inRange(0, 30);
    if (*rc::gen::arbitrary<bool>())
      schema["minLength"] = least;
    if (*rc::gen::arbitrary<bool>())
      schema["maxLength"] = least + *rc::gen::inRange(0, 30);
    break;
  }
  default:
    break;
  }
  return schema;
}

/// With a reference to "#/$defs/tree" now and then.
inline json::value any_schema(int depth) {
  switch (*rc::gen::inRange(0, depth <= 0 ? 5 : 9)) {
  case 0:
    return any_number_schema();
  case 1:
    return any_string_schema();
  case 2:
    return json::object{{"type", *rc::gen::element("boolean", "null")}};
  case 3: {
    json::array values;
    for (int i = *rc::gen::inRange(1, 4); i > 0; --i)
      values.push_back(any_leaf_value());
    return json::object{{"enum", values}};
  }
  case 4:
    return json::object{{"const", any_leaf_value()}};
  case 5:
  case 6:
    return any_object_schema(depth);
  case 7:
    return *rc::gen::inRange(0, 3) == 0 ? json::object{{"$ref", "#/$defs/tree"}} : any_array_schema(depth);
  default:
    return json::object{
        {*rc::gen::element("anyOf", "oneOf"), json::array{any_schema(depth - 1), any_schema(depth - 1)}}};
  }
}

inline json::object any_document() {
  auto root = any_schema(3);
  json::object schema = root.get_object();
  schema["$defs"] = json::object{
      {"tree", json::parse(R"({"type": "object", "title": "a tree", "properties": {"v": {"type": "integer"},
        "next": {"anyOf": [{"$ref": "#/$defs/tree"}, {"type": "null"}]},
        "more": {"type": "array", "items": {"$ref": "#/$defs/tree"}}},
        "required": ["v", "next"], "additionalProperties": false})")}};
  return schema;
}

class validator {
public:
  explicit validator(const json::object& root) : root_(root) {}

  bool valid(const json::value& schema, const json::value& value) const {
    if (schema.is_bool())
      return schema.get_bool();
    const auto& of = schema.get_object();
    if (const auto* ref = of.if_contains("$ref")) {
      json::error_code error;
      return valid(*json::value(root_).find_pointer(std::string_view{ref->get_string()}.substr(1), error),
                   value);
    }
    if (const auto* values = of.if_contains("enum"))
      return std::ranges::any_of(values->get_array(), [&](const auto& one) { return same(one, value); });
    if (const auto* constant = of.if_contains("const"))
      return same(*constant, value);
    for (const auto* keyword : {"anyOf", "oneOf"})
      if (const auto* ways = of.if_contains(keyword))
        return std::ranges::any_of(ways->get_array(), [&](const auto& one) { return valid(one, value); });
    return is_of_type(of.at("type").get_string(), value) && fits(of, value);
  }

private:
  static bool same(const json::value& a, const json::value& b) {
    return a.is_number() && b.is_number() ? a.to_number<double>() == b.to_number<double>() : a == b;
  }

  static bool is_of_type(std::string_view type, const json::value& value) {
    if (type == "integer")
      return value.is_int64() || value.is_uint64() ||
             (value.is_double() && std::floor(value.get_double()) == value.get_double());
    return (type == "object" && value.is_object()) || (type == "array" && value.is_array()) ||
           (type == "string" && value.is_string()) || (type == "number" && value.is_number()) ||
           (type == "boolean" && value.is_bool()) || (type == "null" && value.is_null());
  }

  static double number_of(const json::object& of, const char* keyword, double otherwise) {
    return of.contains(keyword) ? of.at(keyword).to_number<double>() : otherwise;
  }

  bool fits(const json::object& of, const json::value& value) const {
    if (value.is_number())
      return fits_number(of, value.to_number<double>());
    if (const auto* text = value.if_string())
      return fits_string(of, std::string{*text});
    if (const auto* items = value.if_array())
      return fits_array(of, *items);
    return !value.is_object() || fits_object(of, value.get_object());
  }

  static bool fits_number(const json::object& of, double value) {
    return value >= number_of(of, "minimum", -1e300) && value <= number_of(of, "maximum", 1e300) &&
           value > number_of(of, "exclusiveMinimum", -1e300) &&
           value < number_of(of, "exclusiveMaximum", 1e300);
  }

  static bool fits_string(const json::object& of, const std::string& text) {
    const auto n =
        static_cast<double>(std::ranges::count_if(text, [](char c) { return (c & 0xC0) != 0x80; }));
    if (n < number_of(of, "minLength", 0) || n > number_of(of, "maxLength", 1e9))
      return false;
    const auto* pattern = of.if_contains("pattern");
    return pattern == nullptr || std::regex_search(text, std::regex{std::string{pattern->get_string()}});
  }

  bool fits_array(const json::object& of, const json::array& items) const {
    const auto n = static_cast<double>(items.size());
    if (n < number_of(of, "minItems", 0) || n > number_of(of, "maxItems", 1e9))
      return false;
    const auto* prefix = of.if_contains("prefixItems");
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (prefix != nullptr && i < prefix->get_array().size()) {
        if (!valid(prefix->get_array()[i], items[i]))
          return false;
      } else if (of.contains("items") && !valid(of.at("items"), items[i])) {
        return false;
      }
    }
    return true;
  }

  bool fits_object(const json::object& of, const json::object& members) const {
    const auto& properties = of.at("properties").get_object();
    for (const auto& name : of.at("required").get_array())
      if (!members.contains(name.get_string()))
        return false;
    return std::ranges::all_of(members, [&](const auto& member) {
      if (const auto* schema = properties.if_contains(member.key()))
        return valid(*schema, member.value());
      return !of.contains("additionalProperties") || valid(of.at("additionalProperties"), member.value());
    });
  }

  const json::object& root_;
};

/// A value that is valid, as far as one of a reasonable size is easily found.
class value_maker {
public:
  explicit value_maker(const json::object& root) : root_(root), check_(root) {}

  std::optional<json::value> of(const json::value& schema, int depth = 5) const {
    const auto& all = schema.get_object();
    if (all.contains("$ref"))
      return tree(depth);
    if (const auto* values = all.if_contains("enum"))
      return values->get_array()[*rc::gen::inRange<std::size_t>(0, values->get_array().size())];
    if (const auto* constant = all.if_contains("const"))
      return *constant;
    for (const auto* keyword : {"anyOf", "oneOf"})
      if (const auto* ways = all.if_contains(keyword))
        return of(ways->get_array()[*rc::gen::inRange<std::size_t>(0, ways->get_array().size())], depth - 1);
    const auto type = all.at("type").get_string();
    if (type == "object")
      return object(all, depth);
    if (type == "array")
      return array(all, depth);
    return leaf(schema, type);
  }

private:
  json::value tree(int depth) const {
    json::object made{{"v", *rc::gen::inRange(-5, 5)}, {"next", nullptr}};
    if (depth > 0 && *rc::gen::arbitrary<bool>())
      made["next"] = tree(depth - 1);
    if (*rc::gen::arbitrary<bool>())
      made["more"] = json::array{tree(depth - 3)};
    return made;
  }

  std::optional<json::value> leaf(const json::value& schema, std::string_view type) const {
    if (type == "boolean")
      return json::value(*rc::gen::arbitrary<bool>());
    if (type == "null")
      return json::value(nullptr);
    for (int tries = 0; tries < 60; ++tries) {
      json::value made;
      if (type == "string")
        made = *rc::gen::element<std::string>("ab", "bc", "x\"y\"", "22", "a33", "b");
      else if (type == "integer")
        made = *rc::gen::inRange(-1300, 2800);
      else
        made = *rc::gen::inRange(-5000, 12000) / 4.0;
      if (type == "string" && !schema.get_object().contains("pattern"))
        made = *rc::gen::container<std::string>(rc::gen::element('a', '"', '\\', '\n', '1', ' '));
      if (check_.valid(schema, made))
        return made;
    }
    return std::nullopt;
  }

  std::optional<json::value> object(const json::object& all, int depth) const {
    json::object made;
    for (const auto& [name, schema] : all.at("properties").get_object()) {
      const auto& required = all.at("required").get_array();
      const bool needed = std::ranges::find(required, json::value(name)) != required.end();
      if (!needed && (depth <= 0 || *rc::gen::arbitrary<bool>()))
        continue;
      auto value = of(schema, depth - 1);
      if (!value)
        return std::nullopt;
      made[name] = std::move(*value);
    }
    const auto* more = all.if_contains("additionalProperties");
    if (more != nullptr && *more != json::value(false) && *rc::gen::arbitrary<bool>())
      if (const auto value = more->is_bool() ? std::optional{any_leaf_value()} : of(*more, depth - 1))
        for (const auto* name : {"abx", "z", "ax", ""})
          if (*rc::gen::arbitrary<bool>())
            made[name] = *value;
    return made;
  }

  std::optional<json::value> array(const json::object& all, int depth) const {
    const auto least = all.contains("minItems") ? all.at("minItems").to_number<std::size_t>() : 0;
    const auto most = all.contains("maxItems") ? all.at("maxItems").to_number<std::size_t>() : 5;
    const auto n = *rc::gen::inRange(least, std::max(least, most) + 1);
    json::array made;
    for (std::size_t i = 0; i < n; ++i) {
      const auto* prefix = all.if_contains("prefixItems");
      std::optional<json::value> value;
      if (prefix != nullptr && i < prefix->get_array().size())
        value = of(prefix->get_array()[i], depth - 1);
      else
        value = all.contains("items") ? of(all.at("items"), depth - 1) : any_leaf_value();
      if (!value)
        return std::nullopt;
      made.push_back(std::move(*value));
    }
    return made;
  }

  const json::object& root_;
  validator check_;
};

} // namespace souffleur::testing
