#include "engine/grammar/schema_merge.hpp"

#include <boost/json/array.hpp>
#include <boost/json/value.hpp>

#include <algorithm>
#include <array>
#include <optional>

namespace souffleur::grammar {

namespace {

namespace json = boost::json;
using merged = std::optional<json::value>; ///< nothing: there is no such value

bool contains(const json::array& values, const json::value& one) {
  return std::ranges::find(values, one) != values.end();
}

json::array as_list(const json::value& value) {
  return value.is_array() ? value.get_array() : json::array{value};
}

merged both_types(const json::value& a, const json::value& b) {
  json::array types;
  const auto others = as_list(b);
  for (const auto& type : as_list(a)) {
    if (contains(others, type))
      types.push_back(type);
    else if (type == "integer" && contains(others, "number"))
      types.push_back(type);
    else if (type == "number" && contains(others, "integer"))
      types.emplace_back("integer");
  }
  return json::value(std::move(types));
}

merged both_schemas(const json::value& a, const json::value& b) {
  return a == b ? a : json::value(json::object{{"allOf", json::array{a, b}}});
}

merged both_properties(const json::value& a, const json::value& b) {
  if (!a.is_object() || !b.is_object())
    return std::nullopt;
  auto all = a.get_object();
  for (const auto& [name, schema] : b.get_object())
    if (auto* known = all.if_contains(name))
      *known = *both_schemas(*known, schema);
    else
      all.emplace(name, schema);
  return json::value(std::move(all));
}

merged all_of_lists(const json::value& a, const json::value& b) {
  if (!a.is_array() || !b.is_array())
    return std::nullopt;
  auto all = a.get_array();
  for (const auto& one : b.get_array())
    if (!contains(all, one))
      all.push_back(one);
  return json::value(std::move(all));
}

merged common_of_lists(const json::value& a, const json::value& b) {
  if (!a.is_array() || !b.is_array())
    return std::nullopt;
  json::array common;
  for (const auto& one : a.get_array())
    if (contains(b.get_array(), one))
      common.push_back(one);
  return json::value(std::move(common));
}

merged stricter_bound(std::string_view keyword, const json::value& a, const json::value& b) {
  if (!a.is_number() || !b.is_number())
    return std::nullopt;
  const bool is_least = keyword.starts_with("min") || keyword.starts_with("exclusiveMin");
  return (a.to_number<double>() > b.to_number<double>()) == is_least ? a : b;
}

merged both_additional(const json::value& a, const json::value& b) {
  if (a == json::value(true) || b == json::value(false))
    return b;
  if (b == json::value(true) || a == json::value(false))
    return a;
  return both_schemas(a, b);
}

merged both(std::string_view keyword, const json::value& a, const json::value& b) {
  constexpr std::array bounds = {"minimum",       "maximum",      "exclusiveMinimum", "exclusiveMaximum",
                                 "minLength",     "maxLength",    "minItems",         "maxItems",
                                 "minProperties", "maxProperties"};
  if (a == b || is_annotation(keyword))
    return a;
  if (keyword == "type")
    return both_types(a, b);
  if (keyword == "properties")
    return both_properties(a, b);
  if (keyword == "required" || keyword == "allOf")
    return all_of_lists(a, b);
  if (keyword == "enum")
    return common_of_lists(a, b);
  if (keyword == "items" && !a.is_array() && !b.is_array())
    return both_schemas(a, b);
  if (keyword == "additionalProperties" || keyword == "unevaluatedProperties")
    return both_additional(a, b);
  if (std::ranges::find(bounds, keyword) != bounds.end())
    return stricter_bound(keyword, a, b);
  return std::nullopt;
}

/// Whether a schema that takes no other properties than its own meets one that has others.
bool forbids_properties_of(const json::object& a, const json::object& b) {
  const auto* additional = a.if_contains("additionalProperties");
  const auto* others = b.if_contains("properties");
  if (additional == nullptr || *additional == json::value(true) || others == nullptr || !others->is_object())
    return false;
  const auto* own = a.if_contains("properties");
  return std::ranges::any_of(others->get_object(), [&](const auto& entry) {
    return own == nullptr || !own->is_object() || !own->get_object().contains(entry.key());
  });
}

} // namespace

bool is_annotation(std::string_view keyword) {
  constexpr std::array known = {
      "title",           "description",   "default",      "examples",    "example",
      "$schema",         "$id",           "$comment",     "$anchor",     "deprecated",
      "readOnly",        "writeOnly",     "$defs",        "definitions", "contentMediaType",
      "contentEncoding", "discriminator", "externalDocs", "xml"};
  return keyword.starts_with("x-") || std::ranges::find(known, keyword) != known.end();
}

result<json::object> merged_schemas(const json::object& a, const json::object& b) {
  if (forbids_properties_of(a, b) || forbids_properties_of(b, a))
    return failure{"additionalProperties"};
  auto all = a;
  for (const auto& [keyword, value] : b) {
    auto* known = all.if_contains(keyword);
    if (known == nullptr) {
      all.emplace(keyword, value);
      continue;
    }
    auto made = both(keyword, *known, value);
    if (!made)
      return failure{std::string{keyword}};
    *known = std::move(*made);
  }
  return all;
}

} // namespace souffleur::grammar
