#include "net/stream/frame_forms.hpp"

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>

#include <algorithm>
#include <array>

namespace souffleur {

namespace json = boost::json;

namespace {

using enum field_kind;

constexpr std::int64_t no_bound = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t most_int = std::numeric_limits<int>::max();

constexpr frame_field stream_id{"id", text, "names the stream", true, 1, max_stream_id_characters};
constexpr frame_field echoed_id{"id", text, "the stream", true};
constexpr frame_field seq{"seq", integer, "0, 1, 2, … in each stream, without a gap", true, 0};

constexpr std::string_view array_schema = R"({"type":"array","minItems":1})";
constexpr std::string_view object_schema = R"({"type":"object"})";

/// What the two OpenAI endpoints take; they have their own checks.
constexpr frame_field generation_field(std::string_view name, std::string_view schema,
                                       std::string_view meaning = "") {
  return {name, other, meaning, false, 0, no_bound, schema};
}

constexpr std::array generation_fields{
    generation_field("model", R"({"type":"string"})", "the served model's name"),
    generation_field("max_tokens", R"({"type":"integer","minimum":1,"maximum":2147483647})", "of the answer"),
    generation_field("temperature", R"({"type":"number","minimum":0,"maximum":2})", "0: the likeliest token"),
    generation_field("top_p", R"({"type":"number","exclusiveMinimum":0,"maximum":1})"),
    generation_field("top_k", R"({"type":"integer","minimum":-1,"maximum":2147483647})", "0 or -1: off"),
    generation_field("min_p", R"({"type":"number","minimum":0,"maximum":1})"),
    generation_field("presence_penalty", R"({"type":"number","minimum":-2,"maximum":2})"),
    generation_field("frequency_penalty", R"({"type":"number","minimum":-2,"maximum":2})"),
    generation_field("repetition_penalty", R"({"type":"number","exclusiveMinimum":0,"maximum":100})"),
    generation_field("seed",
                     R"({"type":"integer","minimum":-9223372036854775808,"maximum":9223372036854775807})",
                     "makes the answer repeatable"),
    generation_field("stop", R"({"type":["string","array"]})", "up to 16 strings that end the answer"),
    generation_field("logprobs", R"({"type":["boolean","integer"]})", "of each token"),
    generation_field("souffleur", object_schema, "our own options, as in the HTTP body")};

template <std::size_t N, std::size_t M>
constexpr std::array<frame_field, N + M> joined(const std::array<frame_field, N>& first,
                                                const std::array<frame_field, M>& second) {
  std::array<frame_field, N + M> all{};
  std::ranges::copy(first, all.begin());
  std::ranges::copy(second, all.begin() + N);
  return all;
}

constexpr auto generate_fields = joined(
    std::array{
        stream_id,
        frame_field{"messages", other, "a chat; this or `prompt`", false, 0, no_bound, array_schema},
        frame_field{"prompt", other, "text or token ids to be continued", false, 0, no_bound,
                    R"({"type":["string","array"]})"},
        frame_field{"credit", integer, "flow control: tokens that may be sent at first; absent: any number",
                    false, 0, max_stream_credit},
        frame_field{"batch_ms", integer, "least time between two deltas; tokens in between are joined", false,
                    0, max_batch_ms},
        frame_field{"resumable", boolean, "goes on when the connection drops, and can be resumed", false},
        frame_field{"keep", boolean, "can be continued with `append` when it has ended; default true"}},
    generation_fields);

constexpr auto append_fields = joined(
    std::array{
        stream_id,
        frame_field{"messages", other, "those that are new; for a chat", false, 0, no_bound, array_schema},
        frame_field{"prompt", other, "the text that is new; for a stream that began with a text", false, 0,
                    no_bound, R"({"type":"string"})"},
        frame_field{"credit", integer, "added to what is left; turns flow control on", false, 0,
                    max_stream_credit},
        frame_field{"batch_ms", integer, "as in generate", false, 0, max_batch_ms}},
    generation_fields);

constexpr std::array credit_fields{
    stream_id, frame_field{"tokens", integer, "that may be sent besides", true, 1, max_stream_credit}};

constexpr std::array cancel_fields{stream_id};

constexpr std::array update_fields{
    stream_id,
    frame_field{"max_tokens", integer, "of the answer, with those made already; within the server's bounds",
                false, 1, most_int},
    frame_field{"priority", integer, "against other generations", false, -100, 100},
    frame_field{"stop_thinking", boolean,
                "true: what ends a thought is said for the model, now or as soon as it thinks"}};

constexpr std::array resume_fields{
    stream_id, frame_field{"token", text, "`resume_token` of the accepted frame", true, 1, 128},
    frame_field{"after", integer, "seq of the last frame that came; -1: none did", true, -1, no_bound}};

constexpr std::array watch_fields{stream_id,
                                  frame_field{"interval_ms", integer, "between two frames; default 1000",
                                              false, min_watch_ms, max_watch_ms}};

constexpr std::array ping_fields{frame_field{"data", text, "comes back", false, 0, 128}};

constexpr std::array commands{
    frame_form{"generate", "begins a stream", generate_fields},
    frame_form{"append", "continues a stream that has ended with new messages, on its warm KV",
               append_fields},
    frame_form{"credit", "lets more tokens of a stream be sent; turns its flow control on", credit_fields},
    frame_form{"cancel", "ends a stream's generation", cancel_fields},
    frame_form{"update", "changes a running generation from its next step on", update_fields},
    frame_form{"resume", "takes up a stream of another connection behind the last frame that came",
               resume_fields},
    frame_form{"watch", "asks for frames about the server; again with the same id: at another interval",
               watch_fields},
    frame_form{"ping", "asks for a pong", ping_fields},
};

constexpr std::array accepted_fields{
    echoed_id,
    seq,
    frame_field{"model", text, "its name", true},
    frame_field{"prompt_tokens", integer, "of the whole conversation so far", true},
    frame_field{"seed", other, "that repeats the answer", true, 0, no_bound,
                R"({"type":"integer","minimum":0})"},
    frame_field{"request", text, "as what the trace and the log know it"},
    frame_field{"resume_token", text, "secret: what resume wants to see; only of a resumable stream"}};

constexpr std::string_view tokens_schema =
    R"({"type":"array","items":{"type":"object","required":["id","origin"],"additionalProperties":false,"properties":{
      "id":{"type":"integer","minimum":0},
      "origin":{"enum":["model","prompt_lookup","suffix","answers","prediction","recycling","draft_model","grammar","cache","forced"]},
      "text":{"type":"string","description":"with souffleur.trace"},
      "logprob":{"type":"number"},
      "top_logprobs":{"type":"array","items":{"type":"object","required":["id","logprob"],"additionalProperties":false,
        "properties":{"id":{"type":"integer","minimum":0},"logprob":{"type":"number"}}}}}}})";

constexpr std::string_view step_schema =
    R"({"type":"object","required":["rows","drafted","accepted","drafter","ms"],"additionalProperties":false,
      "properties":{"rows":{"type":"integer","minimum":0},"drafted":{"type":"integer","minimum":0},
      "accepted":{"type":"integer","minimum":0},"drafter":{"type":["string","null"]},"ms":{"type":"number"}}})";

constexpr std::array delta_fields{
    echoed_id, seq,
    frame_field{"text", text, "whole characters; empty while a stop string could still begin", true},
    frame_field{"tokens", other, "ids, who drafted each, and logprobs if they were asked for", true, 0,
                no_bound, tokens_schema},
    frame_field{"step", other, "with souffleur.trace: the step that made them", false, 0, no_bound,
                step_schema}};

constexpr std::string_view usage_schema =
    R"({"type":"object","required":["prompt_tokens","completion_tokens","total_tokens","prompt_tokens_details"],
      "properties":{"prompt_tokens":{"type":"integer","minimum":0},"completion_tokens":{"type":"integer","minimum":0},
      "total_tokens":{"type":"integer","minimum":0},"prompt_tokens_details":{"type":"object",
      "required":["cached_tokens"],"properties":{"cached_tokens":{"type":"integer","minimum":0}}}}})";

constexpr std::array done_fields{
    echoed_id,
    seq,
    frame_field{"finish_reason", other, "what ended it", true, 0, no_bound,
                R"({"enum":["stop","length","cancelled","deadline"]})"},
    frame_field{"stop_string", text, "the one that was met"},
    frame_field{"appendable", boolean, "append can continue it", true},
    frame_field{"usage", other, "as OpenAI has it", true, 0, no_bound, usage_schema},
    frame_field{"timings", other, "in milliseconds", true, 0, no_bound, object_schema},
    frame_field{"speculation", other, "how drafts fared", true, 0, no_bound, object_schema},
    frame_field{"cache", other, "what was found in the caches", true, 0, no_bound, object_schema}};

constexpr std::string_view error_schema =
    R"({"type":"object","required":["message","type","param","code"],"additionalProperties":false,"properties":{
      "message":{"type":"string"},"type":{"type":"string"},"param":{"type":["string","null"]},
      "code":{"type":["string","null"]}}})";

constexpr std::array error_fields{
    frame_field{"id", text, "the stream; absent if the frame that was refused names none"},
    frame_field{"seq", integer,
                "the generation has failed, and this is its end; absent: a frame was refused"},
    frame_field{"error", other, "as in OpenAI's bodies", true, 0, no_bound, error_schema}};

constexpr std::array resumed_fields{
    echoed_id, frame_field{"after", integer, "the next frame has the seq behind this", true, -1},
    frame_field{"running", boolean, "its generation has not come to its last frame", true},
    frame_field{"credit", other, "tokens that may still be sent; null: any number", true, 0, no_bound,
                R"({"type":["integer","null"],"minimum":0})"}};

constexpr frame_field watched_part(std::string_view name, std::string_view meaning,
                                   std::string_view schema = object_schema) {
  return {name, other, meaning, true, 0, no_bound, schema};
}

constexpr std::array watched_fields{
    echoed_id,
    seq,
    watched_part("now_ms", "of a clock of the server's", R"({"type":"number"})"),
    frame_field{"running", integer, "generations in the batch", true},
    frame_field{"waiting", integer, "generations in the queue", true},
    watched_part("generations", "those that had rows in the last step", R"({"type":"array"})"),
    watched_part("totals", "counted since the server began"),
    watched_part("steps", "those since the last frame, the newest at least", R"({"type":"array"})"),
    watched_part("kv", "pages, and the prefix tree"),
    watched_part("drafters", "how their drafts fared", R"({"type":"array"})"),
    watched_part("cache", "of the response cache"),
    watched_part("latency", "histograms, in seconds")};

constexpr std::array unwatched_fields{echoed_id, seq};

constexpr std::array pong_fields{frame_field{"data", text, "of the ping"}};

constexpr std::array answers{
    frame_form{"accepted", "a generation is under way", accepted_fields},
    frame_form{"delta", "tokens", delta_fields},
    frame_form{"done", "the generation has ended; no more frames without append", done_fields},
    frame_form{"error", "a generation has failed, or a frame was refused", error_fields},
    frame_form{"resumed", "a stream is this connection's now; what it missed follows", resumed_fields},
    frame_form{"watched", "how the server fares", watched_fields},
    frame_form{"unwatched", "a watch was cancelled", unwatched_fields},
    frame_form{"pong", "the answer to a ping", pong_fields},
};

json::object schema_of(const frame_field& field) {
  json::object schema;
  switch (field.kind) {
  case text:
    schema["type"] = "string";
    if (field.least > 0)
      schema["minLength"] = field.least;
    if (field.most < no_bound)
      schema["maxLength"] = field.most;
    break;
  case integer:
    schema["type"] = "integer";
    schema["minimum"] = field.least;
    if (field.most < no_bound)
      schema["maximum"] = field.most;
    break;
  case boolean:
    schema["type"] = "boolean";
    break;
  case other:
    schema = json::parse(json::string_view{field.schema.data(), field.schema.size()}).as_object();
    break;
  }
  if (!field.meaning.empty())
    schema["description"] = field.meaning;
  return schema;
}

/// A client may write null for what it does not say.
json::object or_null(json::object schema) {
  return {{"anyOf", json::array{std::move(schema), json::object{{"type", "null"}}}}};
}

json::object schema_of(const frame_form& form, bool from_client) {
  json::object properties{{"type", json::object{{"const", form.type}}}};
  json::array required{"type"};
  for (const auto& field : form.fields) {
    auto schema = schema_of(field);
    properties[field.name] = from_client && !field.required ? or_null(std::move(schema)) : std::move(schema);
    if (field.required)
      required.emplace_back(field.name);
  }
  json::object schema{{"type", "object"},
                      {"description", form.meaning},
                      {"required", std::move(required)},
                      {"properties", std::move(properties)}};
  if (!from_client)
    schema["additionalProperties"] = false;
  return schema;
}

/// Adds `$defs` for the frames; the schema of any one of them.
json::object any_of(std::span<const frame_form> forms, bool from_client, json::object& definitions) {
  json::array references;
  for (const auto& form : forms) {
    references.push_back(json::object{{"$ref", "#/$defs/" + std::string{form.type}}});
    definitions[form.type] = schema_of(form, from_client);
  }
  return {{"oneOf", std::move(references)}};
}

std::int64_t n_characters(std::string_view utf8) {
  return std::ranges::count_if(utf8, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
}

void check_text(json_fields& fields, const frame_field& field) {
  const auto value = fields.text(field.name);
  if (!value)
    return;
  const auto n = n_characters(*value);
  if (n < field.least || n > field.most)
    fields.complain(field.name, "must have " + std::to_string(field.least) + " to " +
                                    std::to_string(field.most) + " characters");
}

} // namespace

std::span<const frame_form> client_frames() { return commands; }
std::span<const frame_form> server_frames() { return answers; }

const frame_form* client_frame(std::string_view type) {
  const auto found = std::ranges::find(commands, type, &frame_form::type);
  return found == commands.end() ? nullptr : &*found;
}

bool is_stream_id(std::string_view text) {
  const auto n = n_characters(text);
  return n > 0 && n <= max_stream_id_characters;
}

void check_frame(json_fields& fields, const frame_form& form) {
  for (const auto& field : form.fields) {
    if (field.kind == text)
      check_text(fields, field);
    else if (field.kind == integer)
      fields.integer(field.name, field.least, field.most);
    else if (field.kind == boolean)
      fields.boolean(field.name);
    if (field.required && fields.find(field.name) == nullptr)
      fields.complain(field.name, "is required", "missing_required_parameter");
  }
}

json::object stream_schema() {
  json::object definitions;
  auto schema = any_of(server_frames(), false, definitions);
  definitions["client"] = any_of(client_frames(), true, definitions);
  schema["$schema"] = "https://json-schema.org/draft/2020-12/schema";
  schema["title"] = stream_subprotocol;
  schema["description"] = "A frame that the server sends; #/$defs/client: one that a client sends.";
  schema["$defs"] = std::move(definitions);
  return schema;
}

} // namespace souffleur
