#include "examples/load/target.hpp"

#include "net/client/stream_client.hpp"

#include <boost/json/array.hpp>

namespace souffleur::load {

namespace json = boost::json;

void answer_log::output(time_point when, std::string_view text, int n_tokens) {
  record_.text += text;
  if (!record_.counted_by_server)
    record_.n_output_tokens += n_tokens;
  const auto at = clock_.ns_of(when);
  if (!record_.output_ns.empty() && record_.output_ns.back() == at)
    return;
  record_.output_ns.push_back(at);
  ++live_.n_outputs;
  if (record_.output_ns.size() == 1)
    live_.ttft_us.add((at - record_.intended_ns) / 1000);
}

void answer_log::usage(std::int64_t n_prompt, std::int64_t n_cached, std::int64_t n_output) {
  if (n_prompt >= 0)
    record_.n_prompt_tokens = static_cast<int>(n_prompt);
  if (n_cached >= 0)
    record_.n_cached_tokens = static_cast<int>(n_cached);
  if (n_output >= 0) {
    record_.n_output_tokens = static_cast<int>(n_output);
    record_.counted_by_server = true;
  }
}

void answer_log::end(request_outcome outcome, std::string error) {
  record_.outcome = outcome;
  record_.error = std::move(error);
  record_.ended_ns = clock_.now_ns();
}

std::string transcript(const std::vector<message>& messages) {
  std::string text;
  for (const auto& each : messages)
    text += (text.empty() ? "" : "\n\n") + each.text;
  return text;
}

json::object request_body(const question& asked, const request_settings& settings, bool completions) {
  json::object body;
  if (!settings.model.empty())
    body["model"] = settings.model;
  if (completions) {
    body["prompt"] = transcript(asked.messages);
  } else {
    json::array messages;
    for (const auto& each : asked.messages)
      messages.push_back(json::object{{"role", each.role}, {"content", each.text}});
    body["messages"] = std::move(messages);
  }
  body["max_tokens"] = asked.max_tokens;
  body["temperature"] = settings.temperature;
  if (settings.temperature > 0)
    body["seed"] = asked.seed >> 33; // fits a signed 32-bit number, which some servers want
  if (settings.ignore_eos)
    body["ignore_eos"] = true;
  for (const auto& [key, value] : settings.extra)
    body[key] = value;
  return body;
}

result<std::unique_ptr<target>> make_target(const std::string& url, bool completions,
                                            request_settings settings) {
  if (client::parse_stream_url(url))
    return make_stream_target(url, completions, std::move(settings));
  const std::string scheme = "http://";
  const auto as_stream = url.compare(0, scheme.size(), scheme) == 0
                             ? client::parse_stream_url("ws://" + url.substr(scheme.size()))
                             : std::nullopt;
  if (!as_stream)
    return failure{"--url: \"" + url + "\" is neither http://HOST:PORT nor ws://HOST:PORT/v1/stream"};
  const bool has_path = url.find('/', scheme.size()) != std::string::npos && url.back() != '/';
  auto path =
      has_path ? as_stream->path : std::string{completions ? "/v1/completions" : "/v1/chat/completions"};
  return make_openai_target(as_stream->host, as_stream->port, std::move(path), completions,
                            std::move(settings));
}

} // namespace souffleur::load
