#include "examples/load/openai_chunk.hpp"

#include <boost/json/monotonic_resource.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

namespace souffleur::load {

namespace json = boost::json;

namespace {

const json::object* object_at(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  return value != nullptr ? value->if_object() : nullptr;
}

std::string_view text_at(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  const auto* text = value != nullptr ? value->if_string() : nullptr;
  return text != nullptr ? std::string_view{*text} : std::string_view{};
}

std::int64_t count_at(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  return value != nullptr && value->is_int64() ? value->get_int64() : -1;
}

void read_choice(const json::object& choice, openai_chunk& chunk) {
  if (const auto* delta = object_at(choice, "delta")) {
    for (const auto* key : {"reasoning_content", "reasoning", "content"})
      chunk.text += text_at(*delta, key);
  }
  chunk.text += text_at(choice, "text");
  if (const auto reason = text_at(choice, "finish_reason"); !reason.empty())
    chunk.finish_reason = reason;
}

void read_usage(const json::object& body, openai_chunk& chunk) {
  if (const auto* usage = object_at(body, "usage")) {
    chunk.n_prompt = count_at(*usage, "prompt_tokens");
    chunk.n_output = count_at(*usage, "completion_tokens");
    if (const auto* details = object_at(*usage, "prompt_tokens_details"))
      chunk.n_cached = count_at(*details, "cached_tokens");
  }
  if (const auto* timings = object_at(body, "timings"); timings != nullptr && chunk.n_cached < 0)
    chunk.n_cached = count_at(*timings, "cache_n"); // llama.cpp
}

} // namespace

std::string error_in(const json::object& body) {
  const auto* error = body.if_contains("error");
  if (error == nullptr || error->is_null())
    return "";
  if (const auto* object = error->if_object())
    if (const auto text = text_at(*object, "message"); !text.empty())
      return std::string{text};
  return json::serialize(*error);
}

std::optional<openai_chunk> parse_openai_chunk(std::string_view data) {
  unsigned char memory[4096];
  json::monotonic_resource resource{memory};
  boost::system::error_code error;
  const auto value = json::parse(data, error, &resource);
  const auto* body = error ? nullptr : value.if_object();
  if (body == nullptr)
    return std::nullopt;
  openai_chunk chunk;
  chunk.error = error_in(*body);
  if (const auto* choices = body->if_contains("choices"); choices != nullptr && choices->is_array())
    for (const auto& choice : choices->get_array())
      if (const auto* object = choice.if_object())
        read_choice(*object, chunk);
  read_usage(*body, chunk);
  if (const auto* ours = object_at(*body, "souffleur"))
    if (const auto* cache = object_at(*ours, "cache"))
      chunk.source = text_at(*cache, "source");
  return chunk;
}

} // namespace souffleur::load
