#include "engine/grammar/output_grammar.hpp"

#include "engine/grammar/expression.hpp"
#include "engine/grammar/gbnf_reader.hpp"
#include "engine/grammar/json_rules.hpp"
#include "engine/grammar/regex_reader.hpp"
#include "engine/grammar/schema_reader.hpp"

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

namespace souffleur::grammar {

namespace {

namespace json = boost::json;

result<json::value> parsed(const std::string& source) {
  json::error_code error;
  auto value = json::parse(source, error);
  if (error)
    return failure{"is not valid JSON: " + error.message()};
  return value;
}

result<rules> with_root(rules made, result<expression> root) {
  if (!root)
    return failure{root.error()};
  made.root = made.add("root", std::move(*root));
  return made;
}

result<rules> json_object_rules() {
  rules made;
  auto root = json_rules{made}.object();
  return with_root(std::move(made), std::move(root));
}

result<rules> schema_rules(const std::string& source) {
  const auto schema = parsed(source);
  if (!schema)
    return failure{schema.error()};
  rules made;
  auto root = schema_reader{*schema, made}.read();
  return with_root(std::move(made), std::move(root));
}

result<rules> choice_rules(const std::string& source) {
  const auto texts = parsed(source);
  if (!texts)
    return failure{texts.error()};
  if (!texts->is_array() || texts->get_array().empty())
    return failure{"must be an array of strings with something in it"};
  std::vector<expression> ways;
  for (const auto& text : texts->get_array()) {
    if (!text.is_string() || text.get_string().empty())
      return failure{"must be an array of strings, none of them empty"};
    ways.push_back(bytes(std::string{text.get_string()}));
  }
  return with_root({}, choice(std::move(ways)));
}

/// {"name": …, "arguments": …}
result<expression> call_of(const json::object& function, bool any_arguments, rules& made) {
  json_rules of_json{made};
  const auto* parameters = function.if_contains("parameters");
  auto arguments = of_json.object();
  if (parameters != nullptr && !parameters->is_null() && !any_arguments) {
    auto read = schema_reader{*parameters, made}.read();
    if (!read)
      return failure{"function \"" + std::string{function.at("name").get_string()} + "\": " + read.error()};
    arguments = std::move(*read);
  }
  auto name = of_json.member(bytes("\"name\""), bytes(json::serialize(function.at("name"))));
  auto with = of_json.member(bytes("\"arguments\""), std::move(arguments));
  return of_json.comma_list(
      "{", sequence({std::move(name), of_json.comma(), std::move(with), of_json.space()}), "}");
}

} // namespace

result<rules> tool_call_rules(const std::string& source) {
  const auto wanted = parsed(source);
  if (!wanted)
    return failure{wanted.error()};
  const bool required = wanted->at("required").as_bool();
  rules made;
  std::vector<expression> calls;
  for (const auto& function : wanted->at("functions").as_array()) {
    const bool is_strict = function.as_object().contains("strict") && function.at("strict").as_bool();
    auto one = call_of(function.as_object(), !required && !is_strict, made);
    if (!one)
      return failure{one.error()};
    calls.push_back(std::move(*one));
  }
  auto one = sequence({bytes(std::string{tool_call_begin}), bytes("\n"), choice(std::move(calls)),
                       bytes("\n"), bytes(std::string{tool_call_end})});
  const auto call_rule = made.add("tool call", std::move(one));
  auto root =
      wanted->at("parallel").as_bool()
          ? sequence({call(call_rule), repeated(sequence({bytes("\n"), call(call_rule)}), 0, unlimited)})
          : call(call_rule);
  if (!required)
    root = sequence({avoiding(std::string{tool_call_begin}), optional(std::move(root))});
  return with_root(std::move(made), std::move(root));
}

result<rules> rules_of(const output_grammar& wanted) {
  if (wanted.source.size() > most_source_bytes)
    return failure{"has " + std::to_string(wanted.source.size()) + " bytes; at most " +
                   std::to_string(most_source_bytes) + " are taken"};
  switch (wanted.in) {
  case language::json_object:
    return json_object_rules();
  case language::json_schema:
    return schema_rules(wanted.source);
  case language::regex:
    return with_root({}, read_regex(wanted.source, regex_match::whole));
  case language::choice:
    return choice_rules(wanted.source);
  case language::gbnf:
    return read_gbnf(wanted.source);
  case language::tool_calls:
    return tool_call_rules(wanted.source);
  }
  return failure{"is of no known language"};
}

} // namespace souffleur::grammar
