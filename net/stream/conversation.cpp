#include "net/stream/conversation.hpp"

#include "net/json_fields.hpp"

#include <algorithm>
#include <array>

namespace souffleur {

namespace json = boost::json;

namespace {

/// What a frame says of its own turn only, or what is put together by kind.
constexpr std::array<std::string_view, 8> own_fields{"type",   "id",       "messages",  "prompt",
                                                     "credit", "batch_ms", "resumable", "keep"};

} // namespace

std::optional<conversation> conversation::from(json::value frame, std::size_t n_bytes) {
  const auto& object = frame.get_object();
  if (!object.contains("messages") && !object.at("prompt").is_string())
    return std::nullopt;
  return conversation{std::move(frame), n_bytes};
}

std::variant<conversation, generation_failed> conversation::continued_by(const json::value& append,
                                                                         std::size_t n_bytes) const {
  const auto& more = append.get_object();
  const std::string_view text = is_chat() ? "messages" : "prompt";
  const auto* added = more.if_contains(text);
  if (added == nullptr)
    return bad_parameter(std::string{text},
                         is_chat() ? "'messages' is required: this stream is a chat."
                                   : "'prompt' is required: this stream began with a text.",
                         "missing_required_parameter");
  if (!is_chat() && !added->is_string())
    return bad_parameter("prompt", "'prompt' must be a string.", "invalid_type");
  conversation all{frame_, n_bytes_ + n_bytes};
  auto& object = all.frame_.get_object();
  if (is_chat())
    for (const auto& message : added->get_array())
      object["messages"].get_array().push_back(message);
  else
    object["prompt"].get_string() += added->get_string();
  for (const auto& [name, value] : more)
    if (std::ranges::find(own_fields, std::string_view{name}) == own_fields.end() && !value.is_null())
      object[name] = value;
  return all;
}

void conversation::answered(std::string_view text) {
  auto& object = frame_.get_object();
  n_bytes_ += text.size();
  if (is_chat())
    object["messages"].get_array().push_back(json::object{{"role", "assistant"}, {"content", text}});
  else
    object["prompt"].get_string() += json::string_view{text.data(), text.size()};
}

} // namespace souffleur
