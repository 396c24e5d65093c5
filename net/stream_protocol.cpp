#include "net/stream_protocol.hpp"

#include "net/json_fields.hpp"
#include "net/openai_response.hpp"

#include <boost/json/serialize.hpp>

#include <algorithm>

namespace souffleur {

namespace json = boost::json;

namespace {

using parsed_command = std::variant<stream_command, refused_command>;

constexpr std::int64_t max_credit = std::int64_t{1} << 40;

parsed_command read_generate(std::string stream, const json::object& frame, std::string_view model_name,
                             std::optional<std::int64_t> credit) {
  const bool chat = frame.if_contains("messages") != nullptr;
  auto parsed = parse_openai_request(chat ? openai_endpoint::chat_completions : openai_endpoint::completions,
                                     frame, model_name);
  if (auto* failed = std::get_if<generation_failed>(&parsed)) {
    if (failed->parameter == "prompt" && frame.if_contains("prompt") == nullptr)
      *failed =
          bad_parameter("messages", "'messages' or 'prompt' is required.", "missing_required_parameter");
    return refused_command{std::move(stream), std::move(*failed)};
  }
  auto& call = std::get<openai_call>(parsed);
  if (call.generations.size() != 1)
    return refused_command{std::move(stream), bad_parameter("n", "A stream has one answer: 'n' must be 1.")};
  return stream_command{generate_command{std::move(stream), std::move(call.generations.front()), credit}};
}

json::object origin_object(const generated_token& token) {
  json::object shown{{"id", token.id}, {"origin", to_string(token.origin)}};
  if (token.logprobs) {
    shown["logprob"] = json_logprob(token.logprobs->chosen);
    json::array top;
    for (const auto& [id, logprob] : token.logprobs->top)
      top.push_back(json::object{{"id", id}, {"logprob", json_logprob(logprob)}});
    shown["top_logprobs"] = std::move(top);
  }
  return shown;
}

json::object step_object(const step_trace& step) {
  json::object shown{{"rows", step.n_rows},
                     {"drafted", step.n_drafted},
                     {"accepted", step.n_accepted},
                     {"drafter", nullptr},
                     {"ms", rounded_ms(step.ms)}};
  if (step.n_drafted > 0)
    shown["drafter"] = to_string(step.drafter);
  return shown;
}

void describe(json::object& frame, const generation_delta& delta) {
  frame["text"] = delta.text();
  json::array tokens;
  for (const auto& token : delta.tokens)
    tokens.push_back(origin_object(token));
  frame["tokens"] = std::move(tokens);
  if (delta.step)
    frame["step"] = step_object(*delta.step);
}

void describe(json::object& frame, const generation_finished& end) {
  frame["finish_reason"] = to_string(end.reason);
  if (!end.stop_string.empty())
    frame["stop_string"] = end.stop_string;
  frame["usage"] = usage_object(end.usage);
  frame["timings"] = timings_object(end.usage);
  frame["speculation"] = speculation_object(end.usage);
  frame["cache"] = cache_object(end.usage);
}

} // namespace

parsed_command parse_stream_command(std::string_view frame, std::string_view model_name) {
  auto parsed = parse_json(frame);
  if (auto* failed = std::get_if<generation_failed>(&parsed)) {
    failed->message.replace(0, std::string_view{"The body"}.size(), "The frame");
    return refused_command{"", std::move(*failed)};
  }
  const auto* object = std::get<json::value>(parsed).if_object();
  if (object == nullptr)
    return refused_command{"", bad_parameter("", "A frame must be a JSON object.", "invalid_type")};
  json_fields fields{*object};
  const auto stream = fields.text("id").value_or("");
  if (stream.size() > max_stream_id_bytes)
    return refused_command{
        "", bad_parameter("id", "'id' may have at most " + std::to_string(max_stream_id_bytes) + " bytes.")};
  const auto type = fields.text("type").value_or("");
  if (stream.empty())
    fields.complain("id", "must be a string that names the stream", "missing_required_parameter");
  const auto credit = fields.integer("credit", 0, max_credit);
  const auto n_tokens = type == "credit" ? fields.integer("tokens", 1, max_credit) : std::nullopt;
  if (type == "credit" && !n_tokens)
    fields.complain("tokens", "is required", "missing_required_parameter");
  if (type != "generate" && type != "credit" && type != "cancel")
    fields.complain("type", "must be \"generate\", \"credit\" or \"cancel\"", "unsupported_value");
  if (fields.error())
    return refused_command{stream, *fields.error()};
  if (type == "credit")
    return stream_command{credit_command{stream, *n_tokens}};
  if (type == "cancel")
    return stream_command{cancel_command{stream}};
  return read_generate(stream, *object, model_name, credit);
}

std::string refusal_frame(const refused_command& refused) {
  json::object frame{{"type", "error"}};
  if (!refused.stream.empty())
    frame["id"] = refused.stream;
  frame["error"] = error_object(refused.error);
  return json::serialize(frame);
}

stream_outbox::stream_outbox(std::string stream, std::string model_name, std::optional<std::int64_t> credit)
    : stream_(std::move(stream)), model_name_(std::move(model_name)), credit_(credit) {}

void stream_outbox::push(generation_event event) {
  if (const auto* delta = std::get_if<generation_delta>(&event)) {
    if (abandoned_)
      return;
    n_held_tokens_ += delta->tokens.size();
  }
  events_.push_back(std::move(event));
}

void stream_outbox::grant(std::int64_t n_tokens) {
  credit_ = std::min(credit_.value_or(0) + n_tokens, max_credit);
}

void stream_outbox::abandon() {
  abandoned_ = true;
  std::erase_if(events_, [](const auto& event) { return std::holds_alternative<generation_delta>(event); });
  n_held_tokens_ = 0;
}

std::optional<generation_delta> stream_outbox::affordable(generation_delta& front) {
  if (!credit_ || *credit_ >= static_cast<std::int64_t>(front.tokens.size()))
    return std::move(front);
  if (*credit_ == 0)
    return std::nullopt;
  generation_delta first;
  const auto cut = front.tokens.begin() + static_cast<std::ptrdiff_t>(*credit_);
  first.tokens.assign(std::make_move_iterator(front.tokens.begin()), std::make_move_iterator(cut));
  front.tokens.erase(front.tokens.begin(), cut);
  return first;
}

std::optional<std::string> stream_outbox::next() {
  if (events_.empty())
    return std::nullopt;
  auto* delta = std::get_if<generation_delta>(&events_.front());
  if (delta == nullptr) {
    auto text = frame(events_.front());
    events_.pop_front();
    return text;
  }
  const auto n_before = delta->tokens.size();
  auto part = affordable(*delta);
  if (!part)
    return std::nullopt;
  const bool whole = part->tokens.size() == n_before;
  n_held_tokens_ -= part->tokens.size();
  if (credit_)
    *credit_ -= static_cast<std::int64_t>(part->tokens.size());
  if (whole)
    events_.pop_front();
  return frame(std::move(*part));
}

std::string stream_outbox::frame(const generation_event& event) {
  json::object frame;
  const auto begin = [&](std::string_view type) {
    frame = {{"type", type}, {"id", stream_}, {"seq", seq_++}};
  };
  if (const auto* accepted = std::get_if<generation_accepted>(&event)) {
    begin("accepted");
    frame["model"] = model_name_;
    frame["prompt_tokens"] = accepted->n_prompt_tokens;
    frame["seed"] = accepted->seed;
  } else if (const auto* delta = std::get_if<generation_delta>(&event)) {
    begin("delta");
    describe(frame, *delta);
  } else if (const auto* end = std::get_if<generation_finished>(&event)) {
    begin("done");
    describe(frame, *end);
    finished_ = true;
  } else if (const auto* failed = std::get_if<generation_failed>(&event)) {
    begin("error");
    frame["error"] = error_object(*failed);
    finished_ = true;
  }
  return json::serialize(frame);
}

} // namespace souffleur
