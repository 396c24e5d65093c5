#include "net/stream/frame_text.hpp"

#include "net/openai_response.hpp"

#include <boost/json/serialize.hpp>

namespace souffleur {

namespace json = boost::json;

namespace {

json::object numbered(std::string_view type, frame_number number) {
  return {{"type", type}, {"id", number.stream}, {"seq", number.seq}};
}

json::object token_object(const generated_token& token, bool has_text) {
  json::object shown{{"id", token.id}, {"origin", to_string(token.origin)}};
  if (has_text)
    shown["text"] = token.text;
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

} // namespace

std::string accepted_frame(frame_number number, const generation_accepted& accepted,
                           const accepted_extras& extras) {
  auto frame = numbered("accepted", number);
  frame["model"] = extras.model_name;
  frame["prompt_tokens"] = accepted.n_prompt_tokens;
  frame["seed"] = accepted.seed;
  if (!extras.request_name.empty())
    frame["request"] = extras.request_name;
  if (!extras.resume_token.empty())
    frame["resume_token"] = extras.resume_token;
  return json::serialize(frame);
}

std::string delta_frame(frame_number number, const generation_delta& delta) {
  auto frame = numbered("delta", number);
  frame["text"] = delta.text();
  json::array tokens;
  tokens.reserve(delta.tokens.size());
  for (const auto& token : delta.tokens)
    tokens.push_back(token_object(token, delta.step.has_value()));
  frame["tokens"] = std::move(tokens);
  if (delta.step)
    frame["step"] = step_object(*delta.step);
  return json::serialize(frame);
}

std::string done_frame(frame_number number, const generation_finished& end, bool appendable) {
  auto frame = numbered("done", number);
  frame["finish_reason"] = to_string(end.reason);
  if (!end.stop_string.empty())
    frame["stop_string"] = end.stop_string;
  frame["appendable"] = appendable;
  frame["usage"] = usage_object(end.usage);
  frame["timings"] = timings_object(end.usage);
  frame["speculation"] = speculation_object(end.usage);
  frame["cache"] = cache_object(end.usage);
  return json::serialize(frame);
}

std::string failure_frame(frame_number number, const generation_failed& failed) {
  auto frame = numbered("error", number);
  frame["error"] = error_object(failed);
  return json::serialize(frame);
}

std::string refusal_frame(const refused_command& refused) {
  json::object frame{{"type", "error"}};
  if (!refused.stream.empty())
    frame["id"] = refused.stream;
  frame["error"] = error_object(refused.error);
  return json::serialize(frame);
}

std::string pong_frame(const std::optional<std::string>& data) {
  json::object frame{{"type", "pong"}};
  if (data)
    frame["data"] = *data;
  return json::serialize(frame);
}

std::string resumed_frame(std::string_view stream, std::int64_t after, bool running,
                          std::optional<std::int64_t> credit) {
  json::object frame{
      {"type", "resumed"}, {"id", stream}, {"after", after}, {"running", running}, {"credit", nullptr}};
  if (credit)
    frame["credit"] = *credit;
  return json::serialize(frame);
}

} // namespace souffleur
