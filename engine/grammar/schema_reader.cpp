#include "engine/grammar/schema_reader.hpp"

#include "engine/grammar/json_literal.hpp"
#include "engine/grammar/json_pointer.hpp"
#include "engine/grammar/regex_reader.hpp"
#include "engine/grammar/schema_merge.hpp"
#include "engine/grammar/string_formats.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace souffleur::grammar {

namespace {

namespace json = boost::json;

constexpr int most_schemas = 20'000;
constexpr int most_nested_schemas = 128;
constexpr int most_hops = 32;

struct typed_keyword {
  std::string_view keyword;
  std::string_view type; ///< that it says something about; empty: any
};
constexpr typed_keyword supported[] = {
    {"type", ""},
    {"enum", ""},
    {"const", ""},
    {"anyOf", ""},
    {"oneOf", ""},
    {"allOf", ""},
    {"$ref", ""},
    {"nullable", ""},
    {"properties", "object"},
    {"required", "object"},
    {"additionalProperties", "object"},
    {"unevaluatedProperties", "object"},
    {"minProperties", "object"},
    {"maxProperties", "object"},
    {"items", "array"},
    {"prefixItems", "array"},
    {"additionalItems", "array"},
    {"minItems", "array"},
    {"maxItems", "array"},
    {"uniqueItems", "array"},
    {"minLength", "string"},
    {"maxLength", "string"},
    {"pattern", "string"},
    {"format", "string"},
    {"minimum", "number"},
    {"maximum", "number"},
    {"exclusiveMinimum", "number"},
    {"exclusiveMaximum", "number"},
    {"multipleOf", "number"},
};
constexpr std::array known_types = {"object", "array", "string", "integer", "number", "boolean", "null"};

json::object without(json::object schema, std::string_view keyword) {
  schema.erase(keyword);
  return schema;
}

bool says_something(const json::object& schema) {
  return std::ranges::any_of(schema, [](const auto& entry) { return !is_annotation(entry.key()); });
}

bool is_of_type(const json::value& value, std::string_view type) {
  if (type == "integer")
    return value.is_int64() || value.is_uint64() ||
           (value.is_double() && value.get_double() == std::floor(value.get_double()));
  return type == "object"    ? value.is_object()
         : type == "array"   ? value.is_array()
         : type == "string"  ? value.is_string()
         : type == "number"  ? value.is_number()
         : type == "boolean" ? value.is_bool()
                             : value.is_null();
}

} // namespace

result<expression> schema_reader::read() {
  auto made = schema(root_, "");
  while (!todo_.empty() && !failure_) {
    const auto next = std::move(todo_.front());
    todo_.pop_front();
    auto body = schema(*next.schema, next.pointer);
    to_.bodies[static_cast<std::size_t>(next.rule)] = std::move(body);
  }
  if (failure_)
    return *failure_;
  return made;
}

void schema_reader::complain(const std::string& pointer, std::string_view what) {
  if (!failure_)
    failure_ =
        failure{"the JSON schema's \"" + (pointer.empty() ? "#" : "#" + pointer) + "\" " + std::string{what}};
}

expression schema_reader::schema(const value& schema, const std::string& pointer) {
  if (failure_)
    return nothing();
  if (++n_schemas_ > most_schemas || depth_ > most_nested_schemas) {
    complain(pointer, "is part of too large or too deeply nested a schema, or refers to itself without end");
    return nothing();
  }
  if (const auto* yes = schema.if_bool())
    return *yes ? json_.value() : nothing();
  const auto* object = schema.if_object();
  if (object == nullptr) {
    complain(pointer, "must be an object or a boolean");
    return nothing();
  }
  ++depth_;
  auto made = schema_object(*object, pointer);
  --depth_;
  return made;
}

expression schema_reader::schema_object(const object& schema, const std::string& pointer) {
  check_keywords(schema, pointer);
  if (schema.contains("$ref"))
    return referred(schema, pointer);
  if (schema.contains("allOf"))
    return all_of(schema, pointer);
  for (const std::string_view keyword : {"anyOf", "oneOf"})
    if (schema.contains(keyword))
      return one_of_branches(schema, keyword, pointer);
  if (schema.contains("enum") || schema.contains("const"))
    return listed(schema, pointer);
  std::vector<expression> ways;
  for (const auto& type : types_of(schema, pointer))
    ways.push_back(of_type(type, schema, pointer));
  return choice(std::move(ways));
}

void schema_reader::check_keywords(const object& schema, const std::string& pointer) {
  for (const auto& [keyword, value] : schema) {
    const auto is_this = [&](const typed_keyword& one) { return one.keyword == keyword; };
    if (!is_annotation(keyword) && std::ranges::none_of(supported, is_this))
      return complain(below(pointer, keyword), "is a keyword that is not supported");
    if (keyword == "uniqueItems" && value != json::value(false))
      return complain(below(pointer, keyword), "is only supported as false");
    if (keyword == "multipleOf" && value != json::value(1))
      return complain(below(pointer, keyword), "is not supported");
  }
}

std::vector<std::string> schema_reader::types_of(const object& schema, const std::string& pointer) {
  std::vector<std::string> types;
  const auto add = [&](std::string_view type) {
    if (std::ranges::find(types, type) == types.end())
      types.emplace_back(type);
  };
  if (const auto* given = schema.if_contains("type")) {
    const auto list = given->is_array() ? given->get_array() : json::array{*given};
    for (const auto& type : list) {
      const auto* name = type.if_string();
      if (name == nullptr || std::ranges::find(known_types, std::string_view{*name}) == known_types.end()) {
        complain(below(pointer, "type"),
                 "is not one of object, array, string, integer, number, boolean, null");
        return types;
      }
      add(*name);
    }
  } else {
    for (const auto& [keyword, type] : supported)
      if (!type.empty() && schema.contains(keyword))
        add(type);
    if (types.empty())
      types.emplace_back("any");
  }
  if (const auto* nullable = schema.if_contains("nullable");
      nullable != nullptr && *nullable == json::value(true))
    add("null");
  return types;
}

expression schema_reader::of_type(std::string_view type, const object& schema, const std::string& pointer) {
  if (type == "object")
    return object_of(schema, pointer);
  if (type == "array")
    return array_of(schema, pointer);
  if (type == "string")
    return string(schema, pointer);
  if (type == "integer")
    return integer(schema, pointer);
  if (type == "number")
    return number(schema, pointer);
  if (type == "boolean")
    return json_.boolean();
  return type == "null" ? json_.null() : json_.value();
}

expression schema_reader::listed(const object& schema, const std::string& pointer) {
  std::vector<json::value> values;
  if (const auto* list = schema.if_contains("enum")) {
    if (!list->is_array()) {
      complain(below(pointer, "enum"), "must be an array");
      return nothing();
    }
    values.assign(list->get_array().begin(), list->get_array().end());
  }
  if (const auto* constant = schema.if_contains("const")) {
    if (!schema.contains("enum"))
      values.push_back(*constant);
    std::erase_if(values, [&](const json::value& one) { return one != *constant; });
  }
  for (const auto& [keyword, type] : supported)
    if (!type.empty() && schema.contains(keyword))
      complain(below(pointer, keyword), "beside enum or const is not supported");
  if (schema.contains("type")) {
    const auto types = types_of(schema, pointer);
    std::erase_if(values, [&](const json::value& one) {
      return std::ranges::none_of(types, [&](const std::string& type) { return is_of_type(one, type); });
    });
  }
  std::vector<expression> ways;
  for (const auto& one : values)
    ways.push_back(bytes(json_literal(one)));
  return choice(std::move(ways));
}

std::optional<json::object> schema_reader::merged(const object& a, const object& b,
                                                  const std::string& pointer) {
  auto made = merged_schemas(a, b);
  if (made)
    return std::move(*made);
  complain(pointer, "has parts that cannot be joined, because of \"" + made.error() + "\"");
  return std::nullopt;
}

expression schema_reader::one_of_branches(const object& schema, std::string_view keyword,
                                          const std::string& pointer) {
  const auto here = below(pointer, keyword);
  const auto* branches = schema.at(keyword).if_array();
  if (branches == nullptr || branches->empty()) {
    complain(here, "must be an array with something in it");
    return nothing();
  }
  const auto common = without(schema, keyword);
  std::vector<expression> ways;
  for (std::size_t i = 0; i < branches->size() && !failure_; ++i) {
    const auto at = below(here, i);
    const auto& branch = (*branches)[i];
    const auto* target = says_something(common) ? resolved(branch, at) : nullptr;
    if (target == nullptr || target->is_bool()) {
      if (target == nullptr || target->get_bool())
        ways.push_back(target == nullptr ? this->schema(branch, at) : this->schema(common, pointer));
      continue;
    }
    if (!target->is_object())
      complain(at, "must be an object or a boolean");
    else if (const auto joined = merged(common, target->get_object(), at))
      ways.push_back(this->schema(*joined, at));
  }
  return choice(std::move(ways));
}

expression schema_reader::all_of(const object& schema, const std::string& pointer) {
  const auto here = below(pointer, "allOf");
  const auto* parts = schema.at("allOf").if_array();
  if (parts == nullptr) {
    complain(here, "must be an array");
    return nothing();
  }
  auto joined = without(schema, "allOf");
  for (std::size_t i = 0; i < parts->size() && !failure_; ++i) {
    const auto at = below(here, i);
    const auto* part = resolved((*parts)[i], at);
    if (part == nullptr || *part == json::value(true))
      continue;
    if (*part == json::value(false))
      return nothing();
    if (!part->is_object())
      complain(at, "must be an object or a boolean");
    else if (auto more = merged(joined, part->get_object(), at))
      joined = std::move(*more);
  }
  return failure_ ? nothing() : this->schema(joined, pointer);
}

const json::value* schema_reader::target_of(std::string_view reference, const std::string& pointer) {
  const json::value* found = nullptr;
  if (reference.starts_with('#')) {
    std::string plain;
    for (std::size_t i = 1; i < reference.size(); ++i) {
      int byte = 0;
      const auto hex = reference.substr(i + 1, 2);
      if (reference[i] == '%' && hex.size() == 2 &&
          std::from_chars(hex.data(), hex.data() + 2, byte, 16).ptr == hex.data() + 2) {
        plain += static_cast<char>(byte);
        i += 2;
      } else {
        plain += reference[i];
      }
    }
    json::error_code error;
    found = root_.find_pointer(plain, error);
  }
  if (found == nullptr)
    complain(below(pointer, "$ref"),
             "is \"" + std::string{reference.substr(0, 200)} + "\", which is nothing within the schema");
  return found;
}

const json::value* schema_reader::resolved(const value& schema, const std::string& pointer) {
  const auto* found = &schema;
  for (int n_hops = 0; found != nullptr && n_hops < most_hops; ++n_hops) {
    const auto* object = found->if_object();
    const auto* reference = object == nullptr ? nullptr : object->if_contains("$ref");
    if (reference == nullptr)
      return found;
    if (!reference->is_string() || says_something(without(*object, "$ref"))) {
      complain(pointer,
               "refers to a schema that has $ref beside other keywords, which is not supported here");
      return nullptr;
    }
    found = target_of(reference->get_string(), pointer);
  }
  complain(pointer, "refers to itself");
  return nullptr;
}

expression schema_reader::referred(const object& schema, const std::string& pointer) {
  const auto* reference = schema.at("$ref").if_string();
  if (reference == nullptr) {
    complain(below(pointer, "$ref"), "must be a string");
    return nothing();
  }
  const auto others = without(schema, "$ref");
  if (!says_something(others))
    return call(rule_of(std::string{*reference}, pointer));
  const auto* target = target_of(*reference, pointer);
  if (target != nullptr)
    target = resolved(*target, pointer);
  if (target == nullptr || *target == json::value(false))
    return nothing();
  if (!target->is_object())
    return this->schema(others, pointer);
  const auto joined = merged(others, target->get_object(), pointer);
  return joined ? this->schema(*joined, pointer) : nothing();
}

rule_id schema_reader::rule_of(const std::string& reference, const std::string& pointer) {
  if (const auto known = known_.find(reference); known != known_.end())
    return known->second;
  const auto* target = target_of(reference, pointer);
  const auto rule = to_.declare(reference);
  known_.emplace(reference, rule);
  if (target != nullptr)
    todo_.push_back({rule, target, reference.substr(1)});
  return rule;
}

std::optional<int> schema_reader::count(const object& schema, std::string_view keyword,
                                        const std::string& pointer) {
  const auto* given = schema.if_contains(keyword);
  if (given == nullptr)
    return std::nullopt;
  constexpr int most = 65'536;
  if (is_of_type(*given, "integer") && given->to_number<double>() >= 0 && given->to_number<double>() <= most)
    return static_cast<int>(given->to_number<double>());
  complain(below(pointer, keyword), "must be an integer from 0 to " + std::to_string(most));
  return std::nullopt;
}

expression schema_reader::string(const object& schema, const std::string& pointer) {
  const auto least = count(schema, "minLength", pointer);
  const auto most = count(schema, "maxLength", pointer);
  const auto* pattern = schema.if_contains("pattern");
  const auto* format = schema.if_contains("format");
  if (pattern == nullptr && format == nullptr)
    return least && most && *least > *most ? nothing()
                                           : json_.string(least.value_or(0), most.value_or(unlimited));
  const std::string_view keyword = pattern != nullptr ? "pattern" : "format";
  const auto here = below(pointer, keyword);
  if (least || most || (pattern != nullptr && format != nullptr)) {
    complain(here, "together with minLength, maxLength, or pattern and format together, is not supported");
    return nothing();
  }
  const auto* text = (pattern != nullptr ? pattern : format)->if_string();
  if (text == nullptr) {
    complain(here, "must be a string");
    return nothing();
  }
  const auto of_format = format != nullptr ? pattern_of_format(*text) : std::nullopt;
  if (format != nullptr && !of_format) {
    complain(here, "is a format that is not supported (known: " + std::string{known_formats} + ")");
    return nothing();
  }
  auto made = of_format ? read_regex(*of_format, regex_match::whole) : read_regex(*text, regex_match::part);
  if (!made) {
    complain(here, "cannot be used: " + made.error());
    return nothing();
  }
  return json_.quoted(as_json_text(*made));
}

} // namespace souffleur::grammar
