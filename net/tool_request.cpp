#include "net/tool_request.hpp"

#include <boost/json/serialize.hpp>

#include <algorithm>
#include <string>

namespace souffleur {

namespace json = boost::json;

namespace {

constexpr std::size_t max_tools = 128;
constexpr std::size_t max_name_bytes = 64;

bool is_function_name(std::string_view name) {
  return !name.empty() && name.size() <= max_name_bytes && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
  });
}

/// The `function` of a tool, checked; null with a complaint.
const json::object* function_of(json_fields& fields, const json::value& tool, const std::string& where) {
  const auto* object = tool.if_object();
  const auto* type = object != nullptr ? object->if_contains("type") : nullptr;
  if (type == nullptr || *type != "function") {
    fields.complain(where + ".type", "must be \"function\"", "unsupported_value");
    return nullptr;
  }
  const auto* function = object->if_contains("function");
  if (function == nullptr || !function->is_object()) {
    fields.complain(where + ".function", "must be an object", "invalid_type");
    return nullptr;
  }
  json_fields inner{function->get_object(), where + ".function."};
  const auto name = inner.text("name");
  if (!name || !is_function_name(*name))
    inner.complain("name", "must be 1 to 64 letters, digits, '_', '-' or '.'");
  inner.object("parameters");
  inner.boolean("strict");
  inner.text("description");
  if (!inner.error())
    return &function->get_object();
  fields.complain(*inner.error());
  return nullptr;
}

struct tool_choice {
  bool none = false;
  bool required = false;
  std::string named; ///< empty: any function
};

tool_choice read_choice(json_fields& fields) {
  const auto* given = fields.find("tool_choice");
  if (given == nullptr || *given == "auto")
    return {};
  if (*given == "none")
    return {true, false, ""};
  if (*given == "required")
    return {false, true, ""};
  const auto* object = given->if_object();
  const auto* function = object != nullptr ? object->if_contains("function") : nullptr;
  const auto* name =
      function != nullptr && function->is_object() ? function->get_object().if_contains("name") : nullptr;
  if (name == nullptr || !name->is_string())
    fields.complain("tool_choice",
                    "must be \"none\", \"auto\", \"required\" or {\"type\": \"function\", \"function\": "
                    "{\"name\": …}}",
                    "unsupported_value");
  else
    return {false, true, std::string{name->get_string()}};
  return {};
}

/// As grammar::tool_call_rules reads it.
json::object described(const json::object& function) {
  json::object made{{"name", function.at("name")}};
  for (const auto* key : {"parameters", "strict"})
    if (const auto* value = function.if_contains(key); value != nullptr && !value->is_null())
      made[key] = *value;
  return made;
}

} // namespace

tool_request read_tools(json_fields& fields) {
  tool_request request;
  const auto choice = read_choice(fields);
  const auto* tools = fields.array("tools");
  request.parallel = fields.boolean("parallel_tool_calls").value_or(true) && choice.named.empty();
  if (tools == nullptr || tools->empty()) {
    if (choice.required)
      fields.complain("tool_choice", "needs 'tools'");
    return request;
  }
  if (tools->size() > max_tools)
    fields.complain("tools", "may have at most " + std::to_string(max_tools) + " entries");
  json::array functions;
  bool any_strict = false;
  bool found = choice.named.empty();
  for (std::size_t i = 0; i < tools->size() && !fields.error(); ++i) {
    const auto* function = function_of(fields, (*tools)[i], "tools[" + std::to_string(i) + "]");
    if (function == nullptr)
      continue;
    const auto* strict = function->if_contains("strict");
    any_strict |= strict != nullptr && *strict == json::value(true);
    const bool is_named = choice.named.empty() || function->at("name") == json::string_view{choice.named};
    found |= is_named;
    if (is_named)
      functions.push_back(described(*function));
  }
  if (!found)
    fields.complain("tool_choice", "names a function that 'tools' does not have");
  if (choice.none)
    return request;
  request.tools = *tools;
  if (choice.required || any_strict)
    request.output = output_constraint{
        {grammar::language::tool_calls, json::serialize(json::object{{"functions", std::move(functions)},
                                                                     {"parallel", request.parallel},
                                                                     {"required", choice.required}})},
        "tools"};
  return request;
}

} // namespace souffleur
