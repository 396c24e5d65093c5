#include "net/responses_request.hpp"

#include "net/json_fields.hpp"

#include <array>
#include <string>
#include <utility>

namespace souffleur {

namespace json = boost::json;

namespace {

/// The same in both endpoints.
constexpr std::array shared_names = {"model", "temperature",         "top_p",    "stream", "seed",
                                     "user",  "parallel_tool_calls", "souffleur"};

/// What this endpoint calls otherwise than chats do.
constexpr std::array renamed = {
    std::pair<std::string_view, std::string_view>{"max_completion_tokens", "max_output_tokens"},
    std::pair<std::string_view, std::string_view>{"response_format.json_schema", "text.format"},
    std::pair<std::string_view, std::string_view>{"response_format", "text.format"},
    std::pair<std::string_view, std::string_view>{"messages", "input"}};

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
}

generation_failed in_own_words(generation_failed error) {
  for (const auto& [theirs, ours] : renamed) {
    replace_all(error.parameter, theirs, ours);
    replace_all(error.message, theirs, ours);
  }
  return error;
}

/// The texts of a message's parts: what was said, by whomever.
json::value content_of(json_fields& fields, const json::object& item, const std::string& where) {
  const auto* content = item.if_contains("content");
  if (content == nullptr || content->is_string())
    return content != nullptr ? *content : json::value{};
  const auto* parts = content->if_array();
  if (parts == nullptr) {
    fields.complain(where + ".content", "must be a string or an array of parts", "invalid_type");
    return nullptr;
  }
  json::array texts;
  for (std::size_t i = 0; i < parts->size(); ++i) {
    const auto* part = (*parts)[i].if_object();
    const auto* type = part != nullptr ? part->if_contains("type") : nullptr;
    const auto* text = part != nullptr ? part->if_contains("text") : nullptr;
    const bool is_text = type != nullptr && (*type == "input_text" || *type == "output_text") &&
                         text != nullptr && text->is_string();
    if (!is_text) {
      fields.complain(where + ".content[" + std::to_string(i) + "]",
                      "must be an input_text or output_text: this model reads text only",
                      "unsupported_value");
      return nullptr;
    }
    texts.push_back(json::object{{"type", "text"}, {"text", *text}});
  }
  return texts;
}

/// Turns the items of `input` into messages.
class input_reader {
public:
  explicit input_reader(json_fields& fields) : fields_(fields) {}

  void read() {
    if (const auto instructions = fields_.text("instructions"))
      messages_.push_back(json::object{{"role", "system"}, {"content", *instructions}});
    const auto* input = fields_.find("input");
    const auto* items = input != nullptr ? input->if_array() : nullptr;
    if (input == nullptr)
      fields_.complain("input", "is required", "missing_required_parameter");
    else if (input->is_string())
      messages_.push_back(json::object{{"role", "user"}, {"content", *input}});
    else if (items == nullptr)
      fields_.complain("input", "must be a string or an array of items", "invalid_type");
    else if (items->empty())
      fields_.complain("input", "must not be empty");
    else
      for (std::size_t i = 0; i < items->size() && !fields_.error(); ++i)
        read_item((*items)[i], "input[" + std::to_string(i) + "]");
  }

  json::array take() { return std::move(messages_); }

private:
  void read_item(const json::value& item, const std::string& where) {
    const auto* object = item.if_object();
    if (object == nullptr)
      return fields_.complain(where, "must be an object", "invalid_type");
    json_fields fields{*object, where + "."};
    const auto type = fields.text("type").value_or("message");
    if (type == "message")
      read_message(fields, *object, where);
    else if (type == "function_call")
      read_call(fields);
    else if (type == "function_call_output")
      read_output(fields);
    else if (type != "reasoning")
      fields.complain("type",
                      "must be \"message\", \"function_call\", \"function_call_output\" or \"reasoning\"",
                      "unsupported_value");
    if (fields.error())
      fields_.complain(*fields.error());
  }

  void read_message(json_fields& fields, const json::object& item, const std::string& where) {
    auto role = required(fields, "role");
    if (role == "developer") // whom templates do not know
      role = "system";
    messages_.push_back(json::object{{"role", role}, {"content", content_of(fields_, item, where)}});
  }

  /// Calls in succession are of one answer, and of the text before them.
  void read_call(json_fields& fields) {
    json::object call{{"id", required(fields, "call_id")},
                      {"type", "function"},
                      {"function", json::object{{"name", required(fields, "name")},
                                                {"arguments", required(fields, "arguments")}}}};
    if (messages_.empty() || messages_.back().at("role") != "assistant")
      messages_.push_back(json::object{{"role", "assistant"}, {"content", nullptr}});
    auto& message = messages_.back().get_object();
    if (!message.contains("tool_calls"))
      message["tool_calls"] = json::array{};
    message["tool_calls"].get_array().push_back(std::move(call));
  }

  void read_output(json_fields& fields) {
    messages_.push_back(json::object{{"role", "tool"},
                                     {"tool_call_id", required(fields, "call_id")},
                                     {"content", required(fields, "output")}});
  }

  static std::string required(json_fields& fields, std::string_view name) {
    const auto text = fields.text(name);
    if (!text)
      fields.complain(name, "is required", "missing_required_parameter");
    return text.value_or("");
  }

  json_fields& fields_;
  json::array messages_;
};

/// A function is a tool, here; in chats it is a tool's.
json::value wrapped_function(const json::value& tool) {
  const auto* object = tool.if_object();
  const auto* type = object != nullptr ? object->if_contains("type") : nullptr;
  if (type == nullptr || *type != "function")
    return tool; // chats refuse it
  auto function = *object;
  function.erase("type");
  return json::object{{"type", "function"}, {"function", std::move(function)}};
}

void read_tools(json_fields& fields, json::object& chat) {
  if (const auto* tools = fields.array("tools")) {
    json::array all;
    for (const auto& tool : *tools)
      all.push_back(wrapped_function(tool));
    chat["tools"] = std::move(all);
  }
  if (const auto* choice = fields.find("tool_choice"))
    chat["tool_choice"] = choice->is_object() ? wrapped_function(*choice) : *choice;
}

void read_format(json_fields& fields, json::object& chat) {
  const auto* text = fields.object("text");
  const auto* format = text != nullptr ? text->if_contains("format") : nullptr;
  if (format == nullptr || format->is_null())
    return;
  const auto* object = format->if_object();
  if (object == nullptr)
    return fields.complain("text.format", "must be an object", "invalid_type");
  const auto* type = object->if_contains("type");
  if (type == nullptr || *type != "json_schema") {
    chat["response_format"] = *object;
    return;
  }
  auto schema = *object;
  schema.erase("type");
  chat["response_format"] = json::object{{"type", "json_schema"}, {"json_schema", std::move(schema)}};
}

/// What would need a memory of earlier responses, or would change the answer if it were ignored.
void refuse_unsupported(json_fields& fields) {
  for (const auto* name : {"previous_response_id", "conversation"})
    if (fields.find(name) != nullptr)
      fields.complain(name, "is not supported: this server stores no responses; send the whole 'input'",
                      "unsupported_value");
  for (const auto& [name, why] :
       {std::pair{"store", "stores no responses"}, {"background", "answers at once"}})
    if (fields.boolean(name).value_or(false))
      fields.complain(name, std::string{"must be false: this server "} + why, "unsupported_value");
  if (fields.find("prompt") != nullptr)
    fields.complain("prompt", "is not supported: this server has no prompt templates", "unsupported_value");
  if (fields.integer("top_logprobs", 0, 20).value_or(0) > 0)
    fields.complain("top_logprobs", "is not supported here; /v1/chat/completions has it",
                    "unsupported_value");
}

/// What a response says again of its request.
json::object repeated(json_fields& fields) {
  const auto or_else = [&](const char* name, json::value otherwise) {
    const auto* given = fields.find(name);
    return given != nullptr ? *given : std::move(otherwise);
  };
  auto text = or_else("text", json::object{});
  if (text.is_object() && !text.get_object().contains("format"))
    text.get_object()["format"] = json::object{{"type", "text"}};
  return {{"instructions", or_else("instructions", nullptr)},
          {"max_output_tokens", or_else("max_output_tokens", nullptr)},
          {"metadata", or_else("metadata", json::object{})},
          {"parallel_tool_calls", or_else("parallel_tool_calls", true)},
          {"previous_response_id", nullptr},
          {"reasoning", or_else("reasoning", json::object{{"effort", nullptr}, {"summary", nullptr}})},
          {"store", false},
          {"temperature", or_else("temperature", 1.0)},
          {"text", std::move(text)},
          {"tool_choice", or_else("tool_choice", "auto")},
          {"tools", or_else("tools", json::array{})},
          {"top_p", or_else("top_p", 1.0)},
          {"truncation", "disabled"},
          {"user", or_else("user", nullptr)}};
}

} // namespace

std::variant<openai_call, generation_failed> parse_responses_request(const json::value& body,
                                                                     std::string_view model_name) {
  if (!body.is_object())
    return bad_parameter("", "The body must be a JSON object, not " + std::string{kind_name(body)} + ".",
                         "invalid_type");
  json_fields fields{body.get_object()};
  refuse_unsupported(fields);
  json::object chat;
  for (const auto* name : shared_names)
    if (const auto* given = fields.find(name))
      chat[name] = *given;
  if (const auto* most = fields.find("max_output_tokens"))
    chat["max_completion_tokens"] = *most;
  input_reader input{fields};
  input.read();
  chat["messages"] = input.take();
  read_tools(fields, chat);
  read_format(fields, chat);
  if (fields.error())
    return *fields.error();
  auto parsed = parse_openai_request(openai_endpoint::chat_completions, chat, model_name);
  if (auto* failed = std::get_if<generation_failed>(&parsed))
    return in_own_words(std::move(*failed));
  std::get<openai_call>(parsed).responses = repeated(fields);
  return parsed;
}

} // namespace souffleur
