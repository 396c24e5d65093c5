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

/// Collects what a request says; a second form is a complaint.
class format_reader {
public:
  explicit format_reader(json_fields& fields) : fields_(fields) {}

  /// `name` is a field of `within`, known as `parameter`.
  void read(json_fields& within, std::string_view name, language in, const std::string& parameter) {
    const auto* given = within.find(name);
    if (given == nullptr || (in == language::json_object && *given != json::value(true)))
      return;
    const bool is_text = in == language::regex || in == language::gbnf;
    if (is_text && !given->is_string())
      return within.complain(name, "must be a string, not " + std::string{kind_name(*given)}, "invalid_type");
    if (in == language::json_object)
      add(in, "", parameter);
    else
      add(in, in == language::choice ? json::serialize(*given) : schema_text(*given), parameter);
  }

  void read_response_format() {
    const auto* format = fields_.object("response_format");
    if (format == nullptr)
      return;
    json_fields inner{*format, "response_format."};
    const auto type = inner.text("type").value_or("");
    const auto* wrapped = inner.object("json_schema");
    const auto* schema = wrapped != nullptr ? wrapped->if_contains("schema") : nullptr;
    if (format->if_contains("type") == nullptr)
      inner.complain("type", "is required", "missing_required_parameter");
    if (type == "json_schema" && schema == nullptr)
      inner.complain("json_schema.schema", "is required", "missing_required_parameter");
    if (type != "text" && type != "json_object" && type != "json_schema")
      inner.complain("type", "must be \"text\", \"json_object\" or \"json_schema\"", "unsupported_value");
    if (inner.error())
      return fields_.complain(*inner.error());
    if (type == "json_schema")
      add(language::json_schema, schema_text(*schema), "response_format.json_schema.schema");
    else if (type == "json_object" && inner.find("schema") != nullptr) // as llama.cpp takes it
      add(language::json_schema, schema_text(*inner.find("schema")), "response_format.schema");
    else if (type == "json_object")
      add(language::json_object, "", "response_format");
  }

  std::optional<output_constraint> found() { return std::move(found_); }

private:
  void add(language in, std::string source, const std::string& parameter) {
    if (found_)
      return fields_.complain(parameter, "together with '" + found_->parameter +
                                             "' is not supported: an answer has one form");
    found_.emplace();
    found_->grammar.in = in;
    found_->grammar.source = std::move(source);
    found_->parameter = parameter;
  }

  json_fields& fields_;
  std::optional<output_constraint> found_;
};

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
  format_reader reader{fields};
  reader.read_response_format();
  for (const auto& [name, in] : flat_names)
    reader.read(fields, name, in, name);
  if (const auto* structured = fields.object("structured_outputs")) {
    json_fields inner{*structured, "structured_outputs."};
    if (inner.find("structural_tag") != nullptr)
      inner.complain("structural_tag", "is not supported", "unsupported_value");
    for (const auto& [name, in] : structured_names)
      reader.read(inner, name, in, std::string{"structured_outputs."} + name);
    if (inner.error())
      fields.complain(*inner.error());
  }
  return reader.found();
}

} // namespace souffleur
