#include "net/openai_response.hpp"

#include "net/json_fields.hpp"

#include <boost/json/serialize.hpp>

#include <algorithm>
#include <cmath>

namespace souffleur {

namespace json = boost::json;

namespace {

json::array byte_array(std::string_view bytes) {
  json::array array;
  for (const char c : bytes)
    array.emplace_back(static_cast<unsigned>(static_cast<unsigned char>(c)));
  return array;
}

std::string sse(const json::object& chunk) { return "data: " + json::serialize(chunk) + "\n\n"; }

std::string_view type_of(int status) {
  if (status == 429)
    return "rate_limit_error";
  if (status >= 500)
    return "server_error";
  return "invalid_request_error";
}

std::size_t n_characters(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

const char* openai_reason(finish_reason reason, bool has_calls) {
  if (has_calls && reason == finish_reason::stop)
    return "tool_calls";
  return to_string(reason == finish_reason::deadline ? finish_reason::length : reason);
}

json::object entry(std::string_view bytes, float logprob) {
  return {{"token", valid_utf8(bytes)}, {"logprob", json_logprob(logprob)}, {"bytes", byte_array(bytes)}};
}

} // namespace

double rounded_ms(double ms) { return std::round(ms * 1000) / 1000; }

double json_logprob(float logprob) {
  return std::isfinite(logprob) ? std::max(static_cast<double>(logprob), -9999.0) : -9999.0;
}

json::object error_object(const generation_failed& error) {
  const auto or_null = [](const std::string& text) {
    return text.empty() ? json::value{} : json::value(text);
  };
  return {{"message", valid_utf8(error.message)},
          {"type", type_of(error.status)},
          {"param", or_null(valid_utf8(error.parameter))},
          {"code", or_null(error.code)}};
}

json::object error_body(const generation_failed& error) { return {{"error", error_object(error)}}; }

json::object usage_object(const generation_usage& usage) {
  json::object details{{"accepted_prediction_tokens", usage.n_accepted_tokens},
                       {"rejected_prediction_tokens", usage.n_drafted_tokens - usage.n_accepted_tokens}};
  if (usage.n_thought_tokens > 0)
    details["reasoning_tokens"] = usage.n_thought_tokens;
  return {{"prompt_tokens", usage.n_prompt_tokens},
          {"completion_tokens", usage.n_output_tokens},
          {"total_tokens", usage.n_prompt_tokens + usage.n_output_tokens},
          {"prompt_tokens_details", json::object{{"cached_tokens", usage.n_cached_tokens}}},
          {"completion_tokens_details", std::move(details)}};
}

json::object timings_object(const generation_usage& usage) {
  const double rate = usage.decode_ms > 0 ? (usage.n_output_tokens - 1) * 1000.0 / usage.decode_ms : 0.0;
  return {{"queue_ms", rounded_ms(usage.queue_ms)},
          {"prefill_ms", rounded_ms(usage.prefill_ms)},
          {"decode_ms", rounded_ms(usage.decode_ms)},
          {"tokens_per_second", rounded_ms(std::max(0.0, rate))}};
}

json::object speculation_object(const generation_usage& usage) {
  return {{"drafted_tokens", usage.n_drafted_tokens},
          {"accepted_tokens", usage.n_accepted_tokens},
          {"steps", usage.n_steps},
          {"lossy", usage.lossy}};
}

json::object cache_object(const generation_usage& usage) {
  const bool is_hit = usage.source != answer_source::model;
  json::object object{{"response", is_hit ? "hit" : "miss"}, {"prefix_tokens", usage.n_cached_tokens}};
  if (is_hit)
    object["source"] = to_string(usage.source);
  if (usage.similarity > 0)
    object["similarity"] = std::round(usage.similarity * 1e4) / 1e4;
  return object;
}

openai_response::openai_response(const openai_call& call, response_identity identity, token_bytes bytes_of)
    : chat_(call.chat), include_usage_(call.include_usage),
      has_own_timeout_(call.generations.front().timeout.count() > 0),
      wants_logprobs_(call.generations.front().sampling.n_logprobs >= 0), has_tools_(call.has_tools),
      parallel_tool_calls_(call.parallel_tool_calls), n_per_prompt_(call.n_per_prompt),
      identity_(std::move(identity)), bytes_of_(std::move(bytes_of)), choices_(call.generations.size()),
      n_open_(static_cast<int>(call.generations.size())) {
  for (std::size_t i = 0; i < choices_.size(); ++i) {
    choices_[i].echo = call.echoes[i];
    for (const auto token : call.echoed_tokens[i])
      choices_[i].echo += bytes_of_(token);
    choices_[i].echo = valid_utf8(choices_[i].echo);
  }
}

json::object openai_response::envelope(std::string_view object) const {
  return {{"id", identity_.id},
          {"object", object},
          {"created", identity_.created_s},
          {"model", identity_.model},
          {"system_fingerprint", identity_.fingerprint}};
}

json::object openai_response::chunk(json::array choices) const {
  auto object = envelope(chat_ ? "chat.completion.chunk" : "text_completion");
  object["choices"] = std::move(choices);
  if (include_usage_)
    object["usage"] = nullptr;
  return object;
}

json::value openai_response::chat_logprobs(const std::vector<generated_token>& tokens) const {
  json::array content;
  for (const auto& token : tokens) {
    if (!token.logprobs)
      continue;
    auto described = entry(token.bytes, token.logprobs->chosen);
    json::array top;
    for (const auto& [id, logprob] : token.logprobs->top)
      top.push_back(entry(bytes_of_(id), logprob));
    described["top_logprobs"] = std::move(top);
    content.push_back(std::move(described));
  }
  return json::object{{"content", std::move(content)}, {"refusal", nullptr}};
}

json::value openai_response::legacy_logprobs(std::size_t& text_offset,
                                             const std::vector<generated_token>& tokens) const {
  json::array texts;
  json::array chosen;
  json::array tops;
  json::array offsets;
  for (const auto& token : tokens) {
    if (!token.logprobs)
      continue;
    const auto text = valid_utf8(token.bytes);
    texts.emplace_back(text);
    chosen.emplace_back(json_logprob(token.logprobs->chosen));
    json::object top;
    for (const auto& [id, logprob] : token.logprobs->top)
      top[valid_utf8(bytes_of_(id))] = json_logprob(logprob);
    tops.emplace_back(std::move(top));
    offsets.emplace_back(text_offset);
    text_offset += n_characters(text);
  }
  return json::object{{"tokens", std::move(texts)},
                      {"token_logprobs", std::move(chosen)},
                      {"top_logprobs", std::move(tops)},
                      {"text_offset", std::move(offsets)}};
}

json::value openai_response::logprobs(std::size_t& text_offset,
                                      const std::vector<generated_token>& tokens) const {
  if (!wants_logprobs_)
    return nullptr;
  return chat_ ? chat_logprobs(tokens) : legacy_logprobs(text_offset, tokens);
}

void openai_response::note_end(int choice, const generation_event& event) {
  if (const auto* end = std::get_if<generation_finished>(&event)) {
    --n_open_;
    usage_.n_output_tokens += end->usage.n_output_tokens;
    usage_.n_drafted_tokens += end->usage.n_drafted_tokens;
    usage_.n_accepted_tokens += end->usage.n_accepted_tokens;
    usage_.n_steps += end->usage.n_steps;
    usage_.n_thought_tokens += end->usage.n_thought_tokens;
    usage_.lossy |= end->usage.lossy;
    if (choice % n_per_prompt_ == 0) { // a prompt counts once, whatever n is
      usage_.n_prompt_tokens += end->usage.n_prompt_tokens;
      usage_.n_cached_tokens += end->usage.n_cached_tokens;
    }
    usage_.queue_ms = std::max(usage_.queue_ms, end->usage.queue_ms);
    usage_.prefill_ms = std::max(usage_.prefill_ms, end->usage.prefill_ms);
    usage_.decode_ms = std::max(usage_.decode_ms, end->usage.decode_ms);
    if (end->usage.source != answer_source::model)
      usage_.source = end->usage.source;
    usage_.similarity = std::max(usage_.similarity, end->usage.similarity);
    choices_[static_cast<std::size_t>(choice)].reason = end->reason;
    n_empty_ += end->reason == finish_reason::deadline && end->usage.n_output_tokens == 0 ? 1 : 0;
    if (nothing_was_made_in_time())
      failure_ = {has_own_timeout_ ? 408 : 504, "deadline_exceeded",
                  "The request's time ran out before its first token.",
                  has_own_timeout_ ? "souffleur.timeout_ms" : "", 0};
  } else if (const auto* failed = std::get_if<generation_failed>(&event)) {
    --n_open_;
    if (!failure_)
      failure_ = *failed;
  }
}

json::object openai_response::own_object() const {
  json::array seeds;
  json::array reasons;
  for (const auto& state : choices_) {
    seeds.emplace_back(state.seed);
    reasons.emplace_back(to_string(state.reason));
  }
  return {{"seeds", std::move(seeds)},
          {"finish_reasons", std::move(reasons)},
          {"timings", timings_object(usage_)},
          {"speculation", speculation_object(usage_)},
          {"cache", cache_object(usage_)}};
}

json::object openai_response::call_object(int choice, int index, const tool_call& call) const {
  return {{"id", "call_" + identity_.id + "_" + std::to_string(choice) + "_" + std::to_string(index)},
          {"type", "function"},
          {"function", json::object{{"name", call.name}, {"arguments", call.arguments}}}};
}

json::array openai_response::call_objects(int choice, int n_shown,
                                          const std::vector<tool_call>& calls) const {
  json::array objects;
  for (const auto& call : calls) {
    const int index = n_shown + static_cast<int>(objects.size());
    if (index == 0 || parallel_tool_calls_)
      objects.push_back(call_object(choice, index, call));
  }
  return objects;
}

std::string openai_response::stream_piece(int choice, const tool_call_reader::piece& piece,
                                          json::value logprobs) {
  json::object delta;
  if (!piece.text.empty() || !logprobs.is_null())
    delta["content"] = piece.text;
  auto& n_shown = choices_[static_cast<std::size_t>(choice)].n_calls_shown;
  if (auto calls = call_objects(choice, n_shown, piece.calls); !calls.empty()) {
    for (auto& call : calls)
      call.get_object()["index"] = n_shown++;
    delta["tool_calls"] = std::move(calls);
  }
  if (delta.empty())
    return "";
  json::object shown{{"index", choice}, {"delta", std::move(delta)}};
  shown["logprobs"] = std::move(logprobs);
  shown["finish_reason"] = nullptr;
  return sse(chunk({std::move(shown)}));
}

std::string openai_response::stream_delta(int choice, const generation_delta& delta) {
  auto& state = choices_[static_cast<std::size_t>(choice)];
  const auto text = delta.text();
  if (has_tools_)
    return stream_piece(choice, state.calls.read(text), logprobs(state.text_offset, delta.tokens));
  if (text.empty() && !wants_logprobs_)
    return "";
  json::object shown{{"index", choice}};
  if (chat_)
    shown["delta"] = json::object{{"content", text}};
  else
    shown["text"] = text;
  shown["logprobs"] = logprobs(state.text_offset, delta.tokens);
  shown["finish_reason"] = nullptr;
  return sse(chunk({std::move(shown)}));
}

std::string openai_response::stream_end(int choice, const generation_finished& end) {
  auto& state = choices_[static_cast<std::size_t>(choice)];
  const auto rest = has_tools_ ? stream_piece(choice, state.calls.finish(), nullptr) : std::string{};
  json::object shown{{"index", choice}};
  if (chat_)
    shown["delta"] = json::object{};
  else
    shown["text"] = "";
  shown["logprobs"] = nullptr;
  shown["finish_reason"] = openai_reason(end.reason, state.n_calls_shown > 0);
  auto last = chunk({std::move(shown)});
  if (end.reason == finish_reason::deadline)
    last["souffleur"] =
        json::object{{"finish_reason", to_string(end.reason)}, {"usage", usage_object(end.usage)}};
  return rest + sse(last);
}

std::string openai_response::closing_events() const {
  std::string events;
  if (include_usage_ && !failure_) {
    auto last = envelope(chat_ ? "chat.completion.chunk" : "text_completion");
    last["choices"] = json::array{};
    last["usage"] = usage_object(usage_);
    last["souffleur"] = own_object();
    events += sse(last);
  }
  return events + "data: [DONE]\n\n";
}

std::string openai_response::stream(int choice, const generation_event& event) {
  auto& state = choices_[static_cast<std::size_t>(choice)];
  note_end(choice, event);
  std::string events;
  if (const auto* accepted = std::get_if<generation_accepted>(&event)) {
    state.seed = accepted->seed;
    json::object first{{"index", choice}};
    if (chat_)
      first["delta"] = json::object{{"role", "assistant"}, {"content", ""}};
    else
      first["text"] = state.echo;
    first["logprobs"] = nullptr;
    first["finish_reason"] = nullptr;
    events = sse(chunk({std::move(first)}));
  } else if (const auto* delta = std::get_if<generation_delta>(&event)) {
    events = stream_delta(choice, *delta);
  } else if (const auto* end = std::get_if<generation_finished>(&event)) {
    events = nothing_was_made_in_time() ? sse(error_body(*failure_)) : stream_end(choice, *end);
  } else if (const auto* failed = std::get_if<generation_failed>(&event)) {
    events = sse(error_body(*failed));
  }
  if (ended())
    events += closing_events();
  return events;
}

void openai_response::collect(int choice, const generation_event& event) {
  auto& state = choices_[static_cast<std::size_t>(choice)];
  if (const auto* accepted = std::get_if<generation_accepted>(&event)) {
    state.seed = accepted->seed;
  } else if (const auto* delta = std::get_if<generation_delta>(&event)) {
    state.text += delta->text();
    state.tokens.insert(state.tokens.end(), delta->tokens.begin(), delta->tokens.end());
  }
  note_end(choice, event);
}

json::object openai_response::message_of(int choice) const {
  const auto& state = choices_[static_cast<std::size_t>(choice)];
  json::object message{{"role", "assistant"}, {"content", state.text}, {"refusal", nullptr}};
  if (!has_tools_)
    return message;
  tool_call_reader reader;
  auto all = reader.read(state.text);
  auto rest = reader.finish();
  all.calls.insert(all.calls.end(), rest.calls.begin(), rest.calls.end());
  auto text = all.text + rest.text;
  auto calls = call_objects(choice, 0, all.calls);
  message["content"] = text.empty() && !calls.empty() ? json::value{} : json::value(std::move(text));
  if (!calls.empty())
    message["tool_calls"] = std::move(calls);
  return message;
}

json::object openai_response::body() const {
  auto object = envelope(chat_ ? "chat.completion" : "text_completion");
  json::array shown;
  for (std::size_t i = 0; i < choices_.size(); ++i) {
    const auto& state = choices_[i];
    json::object choice{{"index", i}};
    auto message = chat_ ? message_of(static_cast<int>(i)) : json::object{};
    const bool has_calls = message.contains("tool_calls");
    if (chat_)
      choice["message"] = std::move(message);
    else
      choice["text"] = state.echo + state.text;
    std::size_t text_offset = 0;
    choice["logprobs"] = logprobs(text_offset, state.tokens);
    choice["finish_reason"] = openai_reason(state.reason, has_calls);
    shown.push_back(std::move(choice));
  }
  object["choices"] = std::move(shown);
  object["usage"] = usage_object(usage_);
  object["souffleur"] = own_object();
  return object;
}

} // namespace souffleur
