#include "net/output_format.hpp"

#include <boost/json/serialize.hpp>

#include <array>
#include <utility>

namespace souffleur {

namespace json = boost::json;

namespace {

using grammar::language;

/// A schema as a value, or as JSON text.
std::string schema_text(const json::value& schema) {
  const auto* text = schema.if_string();
  return text != nullptr ? std::string{*text} : json::serialize(schema);
}

/// Reads one of the words for one language; `name` is a field of `fields`, known as `parameter`.
std::optional<output_constraint> read_source(json_fields& fields, std::string_view name, language in,
                                             const std::string& parameter) {
  const auto* given = fields.find(name);
  if (given == nullptr)
    return std::nullopt;
  const bool takes_text = in == language::regex || in == language::gbnf;
  if (takes_text && !given->is_string()) {
    fields.complain(name, "must be a string, not " + std::string{kind_name(*given)}, "invalid_type");
    return std::nullopt;
  }
  if (in == language::json_object)
    return *given == json::value(true) ? std::optional{output_constraint{{in, ""}, parameter}} : std::nullopt;
  return output_constraint{{in, in == language::choice ? json::serialize(*given) : schema_text(*given)},
                           parameter};
}

std::optional<output_constraint> read_response_format(json_fields& fields) {
  const auto* format = fields.object("response_format");
  if (format == nullptr)
    return std::nullopt;
  json_fields inner{*format, "response_format."};
  const auto type = inner.text("type");
  if (!type)
    inner.complain("type", "is required", "missing_required_parameter");
  const auto* wrapped = inner.object("json_schema");
  const auto* schema = wrapped != nullptr ? wrapped->if_contains("schema") : nullptr;
  if (type == "json_schema" && schema == nullptr)
    inner.complain("json_schema.schema", "is required", "missing_required_parameter");
  if (type && *type != "text" && *type != "json_object" && *type != "json_schema")
    inner.complain("type", "must be \"text\", \"json_object\" or \"json_schema\"", "unsupported_value");
  if (inner.error()) {
    fields.complain(*inner.error());
    return std::nullopt;
  }
  if (*type == "json_object") // llama.cpp takes a schema here, too
    return format->contains("schema")
               ? output_constraint{{language::json_schema, schema_text(format->at("schema"))},
                                   "response_format.schema"}
               : output_constraint{{language::json_object, ""}, "response_format"};
  if (*type == "json_schema")
    return output_constraint{{language::json_schema, schema_text(*schema)},
                             "response_format.json_schema.schema"};
  return std::nullopt;
}

constexpr std::array flat_names = {
    std::pair{"guided_json", language::json_schema}, std::pair{"guided_regex", language::regex},
    std::pair{"guided_choice", language::choice},    std::pair{"guided_grammar", language::gbnf},
    std::pair{"json_schema", language::json_schema}, std::pair{"grammar", language::gbnf}};

constexpr std::array structured_names = {
    std::pair{"json", language::json_schema}, std::pair{"json_object", language::json_object},
    std::pair{"regex", language::regex}, std::pair{"choice", language::choice},
    std::pair{"grammar", language::gbnf}};

} // namespace

std::optional<output_constraint> read_output_format(json_fields& fields) {
  auto wanted = read_response_format(fields);
  const auto add = [&](std::optional<output_constraint> more) {
    if (wanted && more)
      fields.complain(more->parameter,
                      "together with '" + wanted->parameter + "': an answer can have one form only");
    else if (more)
      wanted = std::move(more);
  };
  for (const auto& [name, in] : flat_names)
    add(read_source(fields, name, in, name));
  if (const auto* structured = fields.object("structured_outputs")) {
    json_fields inner{*structured, "structured_outputs."};
    if (inner.find("structural_tag") != nullptr)
      inner.complain("structural_tag", "is not supported", "unsupported_value");
    for (const auto& [name, in] : structured_names)
      add(read_source(inner, name, in, std::string{"structured_outputs."} + name));
    if (inner.error())
      fields.complain(*inner.error());
  }
  return wanted;
}

} // namespace souffleur
