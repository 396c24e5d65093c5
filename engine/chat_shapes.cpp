#include "engine/chat_shapes.hpp"

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>

#include <optional>
#include <string>
#include <string_view>

namespace souffleur {
namespace {

namespace json = boost::json;

constexpr std::string_view needle = "souffleur-probe";

/// The text of the messages by the template; nothing if it fails.
std::optional<std::string> probe(const jinja::template_program& program, json::array messages,
                                 const json::value& tools = nullptr) {
  jinja::limits small;
  small.max_steps = 200'000;
  small.max_output_bytes = 1 << 20;
  const auto text = program.render({{"messages", std::move(messages)},
                                    {"tools", tools},
                                    {"add_generation_prompt", true},
                                    {"bos_token", ""},
                                    {"eos_token", ""}},
                                   small);
  return text.ok() ? std::optional(text.value()) : std::nullopt;
}

bool contains(const std::optional<std::string>& text, std::string_view part) {
  return text && text->find(part) != std::string::npos;
}

json::array tool_conversation(json::value content, json::value arguments) {
  json::object call{{"id", "abcdefghi"},
                    {"type", "function"},
                    {"function", json::object{{"name", "f"}, {"arguments", std::move(arguments)}}}};
  return {json::object{{"role", "user"}, {"content", "x"}},
          json::object{{"role", "assistant"},
                       {"content", std::move(content)},
                       {"tool_calls", json::array{std::move(call)}}}};
}

const json::string* find_text(const json::object& object, std::string_view key) {
  const json::value* v = object.if_contains(key);
  return v != nullptr ? v->if_string() : nullptr;
}

/// The parts' texts, one a line.
result<json::value> join_parts(const json::array& parts) {
  std::string text;
  for (const json::value& part : parts) {
    const json::object* fields = part.if_object();
    const json::string* piece = fields != nullptr ? find_text(*fields, "text") : part.if_string();
    if (piece == nullptr) {
      const json::string* type = fields != nullptr ? find_text(*fields, "type") : nullptr;
      return failure{"this model takes text only, not a content part of type '" +
                     (type != nullptr ? std::string(*type) : std::string("unknown")) + "'"};
    }
    text.append(text.empty() ? "" : "\n").append(std::string_view(*piece));
  }
  return json::value(text);
}

void parse_arguments(json::value& call) {
  json::object* fields = call.if_object();
  json::value* function = fields != nullptr ? fields->if_contains("function") : nullptr;
  json::object* target = function != nullptr ? function->if_object() : fields;
  json::value* arguments = target != nullptr ? target->if_contains("arguments") : nullptr;
  if (arguments == nullptr || !arguments->is_string()) {
    return;
  }
  boost::system::error_code error;
  json::value parsed = json::parse(arguments->get_string(), error);
  if (!error && parsed.is_object()) {
    *arguments = std::move(parsed);
  }
}

void fit_calls(json::object& message, const chat_shapes& taken) {
  json::value* calls = message.if_contains("tool_calls");
  if (calls == nullptr || !calls->is_array() || !taken.object_arguments) {
    return;
  }
  for (json::value& call : calls->get_array()) {
    parse_arguments(call);
  }
}

std::optional<failure> fit_content(json::object& message, const chat_shapes& taken) {
  json::value* content = message.if_contains("content");
  if (content != nullptr && content->is_array() && !taken.parts) {
    auto text = join_parts(content->get_array());
    if (!text) {
      return failure{text.error()};
    }
    *content = std::move(*text);
  } else if ((content == nullptr || content->is_null()) && !taken.null_content) {
    message["content"] = "";
  }
  return std::nullopt;
}

} // namespace

chat_shapes chat_shapes::of(const jinja::template_program& program) {
  chat_shapes taken;
  const json::array parts{json::object{{"type", "text"}, {"text", needle}}};
  const auto of_parts = probe(program, {json::object{{"role", "user"}, {"content", parts}}});
  // A template that prints the list itself does not take parts.
  taken.parts = contains(of_parts, needle) && !contains(of_parts, "type");
  const json::value arguments = json::object{{"key", needle}};
  const auto of_null = probe(program, tool_conversation(nullptr, arguments));
  taken.null_content = of_null && !contains(of_null, "None");
  taken.object_arguments = contains(probe(program, tool_conversation("", arguments)), needle);
  const json::object function{{"name", needle}, {"description", ""}, {"parameters", json::object{}}};
  const json::value tools = json::array{json::object{{"type", "function"}, {"function", function}}};
  taken.tools = contains(probe(program, {json::object{{"role", "user"}, {"content", "x"}}}, tools), needle);
  return taken;
}

result<json::array> fit_messages(json::array messages, const chat_shapes& taken) {
  for (json::value& message : messages) {
    if (json::object* fields = message.if_object()) {
      fit_calls(*fields, taken);
      if (const auto why = fit_content(*fields, taken)) {
        return *why;
      }
    }
  }
  return messages;
}

} // namespace souffleur
