#include "net/stream/command.hpp"

#include "net/openai_request.hpp"
#include "net/stream/frame_forms.hpp"

namespace souffleur {

namespace json = boost::json;

namespace {

turn_wishes read_wishes(json_fields& fields) {
  turn_wishes wishes;
  wishes.credit = fields.integer("credit", 0, max_stream_credit);
  if (const auto ms = fields.integer("batch_ms", 0, max_batch_ms))
    wishes.batch = std::chrono::milliseconds{*ms};
  return wishes;
}

parsed_command read_generate(std::string stream, json::value& frame, std::string_view model_name) {
  auto request = read_generation(frame, model_name);
  if (auto* failed = std::get_if<generation_failed>(&request))
    return refused_command{std::move(stream), std::move(*failed)};
  json_fields fields{frame.get_object()};
  generate_command command;
  command.wishes = read_wishes(fields);
  command.resumable = fields.boolean("resumable").value_or(false);
  command.keep = fields.boolean("keep").value_or(true);
  command.stream = std::move(stream);
  command.request = std::move(std::get<generation_request>(request));
  command.frame = std::move(frame);
  return stream_command{std::move(command)};
}

/// The new messages are checked by themselves, so that an error counts them as the client does.
parsed_command read_append(std::string stream, json::value& frame, std::string_view model_name) {
  if (auto request = read_generation(frame, model_name);
      auto* failed = std::get_if<generation_failed>(&request))
    return refused_command{std::move(stream), std::move(*failed)};
  json_fields fields{frame.get_object()};
  const auto wishes = read_wishes(fields);
  return stream_command{append_command{std::move(stream), std::move(frame), wishes}};
}

parsed_command read_update(std::string stream, json_fields& fields) {
  generation_change change;
  if (const auto n = fields.integer("max_tokens", 1, std::numeric_limits<int>::max()))
    change.max_tokens = static_cast<int>(*n);
  if (const auto n = fields.integer("priority", -100, 100))
    change.priority = static_cast<int>(*n);
  change.stop_thinking = fields.boolean("stop_thinking").value_or(false);
  if (!change.max_tokens && !change.priority && !change.stop_thinking)
    return refused_command{std::move(stream),
                           bad_parameter("max_tokens",
                                         "'max_tokens', 'priority' or 'stop_thinking' is required.",
                                         "missing_required_parameter")};
  return stream_command{update_command{std::move(stream), change}};
}

/// REQUIRES: the frame is as its form says.
parsed_command read_checked(std::string_view type, json::value frame, std::string_view model_name) {
  json_fields fields{frame.get_object()};
  auto stream = fields.text("id").value_or("");
  if (type == "generate")
    return read_generate(std::move(stream), frame, model_name);
  if (type == "append")
    return read_append(std::move(stream), frame, model_name);
  if (type == "credit")
    return stream_command{
        credit_command{std::move(stream), fields.integer("tokens", 1, max_stream_credit).value_or(1)}};
  if (type == "cancel")
    return stream_command{cancel_command{std::move(stream)}};
  if (type == "update")
    return read_update(std::move(stream), fields);
  if (type == "resume")
    return stream_command{
        resume_command{std::move(stream), fields.text("token").value_or(""),
                       fields.integer("after", -1, std::numeric_limits<std::int64_t>::max()).value_or(-1)}};
  if (type == "watch")
    return stream_command{watch_command{
        std::move(stream), std::chrono::milliseconds{
                               fields.integer("interval_ms", 0, max_watch_ms).value_or(default_watch_ms)}}};
  return stream_command{ping_command{fields.text("data")}};
}

std::string all_types() {
  std::string all;
  for (const auto& form : client_frames())
    all += (all.empty() ? "" : ", ") + std::string{form.type};
  return all;
}

/// What a refusal calls the stream; empty if it cannot.
std::string stream_of(const json::object& frame) {
  json_fields fields{frame};
  auto name = fields.text("id").value_or("");
  return is_stream_id(name) ? name : "";
}

} // namespace

std::variant<generation_request, generation_failed> read_generation(const json::value& frame,
                                                                    std::string_view model_name) {
  const auto& object = frame.get_object();
  const bool chat = object.if_contains("messages") != nullptr;
  auto parsed = parse_openai_request(chat ? openai_endpoint::chat_completions : openai_endpoint::completions,
                                     frame, model_name);
  if (auto* failed = std::get_if<generation_failed>(&parsed)) {
    if (failed->parameter == "prompt" && object.if_contains("prompt") == nullptr)
      return bad_parameter("messages", "'messages' or 'prompt' is required.", "missing_required_parameter");
    return std::move(*failed);
  }
  auto& call = std::get<openai_call>(parsed);
  if (call.generations.size() != 1)
    return bad_parameter("n", "A stream has one answer: 'n' must be 1.");
  return std::move(call.generations.front());
}

parsed_command parse_stream_command(std::string_view frame, std::string_view model_name) {
  auto parsed = parse_json(frame);
  if (auto* failed = std::get_if<generation_failed>(&parsed)) {
    failed->message.replace(0, std::string_view{"The body"}.size(), "The frame");
    return refused_command{"", std::move(*failed)};
  }
  auto& value = std::get<json::value>(parsed);
  const auto* object = value.if_object();
  if (object == nullptr)
    return refused_command{"", bad_parameter("", "A frame must be a JSON object.", "invalid_type")};
  json_fields fields{*object};
  const auto type = fields.text("type").value_or("");
  const auto* form = client_frame(type);
  if (form != nullptr)
    check_frame(fields, *form);
  else
    fields.complain("type", "must be one of " + all_types(), "unsupported_value");
  if (fields.error())
    return refused_command{stream_of(*object), *fields.error()};
  return read_checked(type, std::move(value), model_name);
}

} // namespace souffleur
