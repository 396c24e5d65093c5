#include "net/openai_request.hpp"

#include "net/json_fields.hpp"
#include "net/output_format.hpp"
#include "net/tool_request.hpp"

#include <boost/json/stream_parser.hpp>

#include <charconv>
#include <cmath>
#include <limits>

namespace souffleur {

namespace json = boost::json;

namespace {

constexpr int max_stop_strings = 16;
constexpr int max_stop_bytes = 1024;
constexpr int max_top_logprobs = 20;
constexpr int max_bias_entries = 1024;
constexpr int max_stop_tokens = 1024;

/// `content` of a message: a string, null, or an array of text parts, which become one string.
void check_content(json_fields& fields, json::object& message, const std::string& where) {
  auto* content = message.if_contains("content");
  if (content == nullptr || content->is_null() || content->is_string())
    return;
  if (!content->is_array())
    return fields.complain(where + ".content",
                           "must be a string or an array of parts, not " + std::string{kind_name(*content)},
                           "invalid_type");
  std::string joined;
  std::size_t i = 0;
  for (const auto& part : content->get_array()) {
    const auto here = where + ".content[" + std::to_string(i++) + "]";
    const auto* object = part.if_object();
    const auto* type = object != nullptr ? object->if_contains("type") : nullptr;
    if (type == nullptr || !type->is_string())
      return fields.complain(here + ".type", "is missing", "missing_required_parameter");
    if (type->get_string() != "text")
      return fields.complain(here + ".type", "must be \"text\": this model reads text only",
                             "unsupported_value");
    const auto* text = object->if_contains("text");
    if (text == nullptr || !text->is_string())
      return fields.complain(here + ".text", "must be a string", "invalid_type");
    joined += text->get_string();
  }
  *content = joined;
}

json::array read_messages(json_fields& fields) {
  const auto* messages = fields.array("messages");
  if (messages == nullptr) {
    fields.complain("messages", "is required", "missing_required_parameter");
    return {};
  }
  if (messages->empty())
    fields.complain("messages", "must not be empty");
  json::array checked = *messages;
  for (std::size_t i = 0; i < checked.size() && !fields.error(); ++i) {
    const auto where = "messages[" + std::to_string(i) + "]";
    auto* message = checked[i].if_object();
    if (message == nullptr) {
      fields.complain(where, "must be an object", "invalid_type");
      break;
    }
    const auto* role = message->if_contains("role");
    if (role == nullptr || !role->is_string())
      fields.complain(where + ".role", "must be a string",
                      role == nullptr ? "missing_required_parameter" : "invalid_type");
    check_content(fields, *message, where);
  }
  return checked;
}

std::vector<std::string> read_stop(json_fields& fields) {
  std::vector<std::string> stop;
  const auto* value = fields.find("stop");
  if (value == nullptr)
    return stop;
  if (const auto* one = value->if_string())
    stop.emplace_back(*one);
  else if (const auto* many = value->if_array())
    for (const auto& entry : *many) {
      if (!entry.is_string()) {
        fields.complain("stop", "must be a string or an array of strings", "invalid_type");
        return {};
      }
      stop.emplace_back(entry.get_string());
    }
  else
    fields.complain("stop", "must be a string or an array of strings", "invalid_type");
  if (stop.size() > max_stop_strings)
    fields.complain("stop", "may have at most " + std::to_string(max_stop_strings) + " strings");
  for (const auto& text : stop)
    if (text.empty() || text.size() > max_stop_bytes)
      fields.complain("stop", "must have strings of 1 to " + std::to_string(max_stop_bytes) + " bytes");
  return stop;
}

std::vector<token_id> read_token_ids(json_fields& fields, std::string_view name, const json::array& ids) {
  std::vector<token_id> tokens;
  tokens.reserve(ids.size());
  for (const auto& entry : ids) {
    if (!entry.is_int64() || entry.get_int64() < 0 ||
        entry.get_int64() > std::numeric_limits<token_id>::max()) {
      fields.complain(name, "must have token ids (integers from 0) only", "invalid_type");
      return {};
    }
    tokens.push_back(static_cast<token_id>(entry.get_int64()));
  }
  return tokens;
}

std::vector<std::pair<token_id, float>> read_logit_bias(json_fields& fields) {
  std::vector<std::pair<token_id, float>> bias;
  const auto* entries = fields.object("logit_bias");
  if (entries == nullptr)
    return bias;
  if (entries->size() > max_bias_entries)
    fields.complain("logit_bias", "may have at most " + std::to_string(max_bias_entries) + " entries");
  for (const auto& [key, value] : *entries) {
    token_id token = 0;
    const auto [end, status] = std::from_chars(key.data(), key.data() + key.size(), token);
    if (status != std::errc{} || end != key.data() + key.size() || token < 0)
      fields.complain("logit_bias", "has the key \"" + std::string{key} + "\", which is not a token id");
    if (!value.is_number() || !(std::abs(value.to_number<double>()) <= 100))
      fields.complain("logit_bias", "must have values from -100 to 100");
    if (fields.error())
      return {};
    bias.emplace_back(token, value.to_number<float>());
  }
  return bias;
}

void read_logprobs(json_fields& fields, bool chat, sampling_params& sampling) {
  if (!chat) {
    sampling.n_logprobs = static_cast<int>(fields.integer("logprobs", 0, max_top_logprobs).value_or(-1));
    return;
  }
  const bool wanted = fields.boolean("logprobs").value_or(false);
  const auto n_top = fields.integer("top_logprobs", 0, max_top_logprobs);
  if (n_top && !wanted)
    fields.complain("top_logprobs", "needs 'logprobs' to be true");
  if (wanted)
    sampling.n_logprobs = static_cast<int>(n_top.value_or(0));
}

sampling_params read_sampling(json_fields& fields, bool chat) {
  sampling_params sampling;
  const auto set = [](auto& field, const auto& given) {
    if (given)
      field = static_cast<std::remove_reference_t<decltype(field)>>(*given);
  };
  set(sampling.temperature, fields.number("temperature", {0, 2}));
  set(sampling.top_p, fields.number("top_p", {0, 1, true}));
  set(sampling.min_p, fields.number("min_p", {0, 1}));
  set(sampling.presence_penalty, fields.number("presence_penalty", {-2, 2}));
  set(sampling.frequency_penalty, fields.number("frequency_penalty", {-2, 2}));
  set(sampling.repetition_penalty, fields.number("repetition_penalty", {0, 100, true}));
  if (const auto top_k = fields.integer("top_k", -1, std::numeric_limits<int>::max()))
    sampling.top_k = *top_k < 0 ? 0 : static_cast<int>(*top_k); // vLLM writes "off" as -1
  set(sampling.ignore_eos, fields.boolean("ignore_eos"));
  set(sampling.min_tokens, fields.integer("min_tokens", 0, std::numeric_limits<int>::max()));
  if (const auto* ids = fields.array("stop_token_ids")) {
    if (ids->size() > max_stop_tokens)
      fields.complain("stop_token_ids", "may have at most " + std::to_string(max_stop_tokens) + " ids");
    else
      sampling.stop_token_ids = read_token_ids(fields, "stop_token_ids", *ids);
  }
  sampling.logit_bias = read_logit_bias(fields);
  sampling.stop = read_stop(fields);
  read_logprobs(fields, chat, sampling);
  return sampling;
}

void read_max_tokens(json_fields& fields, bool chat, generation_request& request) {
  constexpr std::int64_t most = std::numeric_limits<int>::max();
  auto n = fields.integer("max_tokens", 1, most);
  if (chat)
    if (const auto newer = fields.integer("max_completion_tokens", 1, most))
      n = newer;
  request.max_tokens_given = n.has_value();
  if (n)
    request.sampling.max_tokens = static_cast<int>(*n);
}

void read_speculation(json_fields& ours, speculation_options& options) {
  const auto* value = ours.find("speculation");
  if (value == nullptr)
    return;
  if (value->is_bool()) {
    options.enabled = value->get_bool();
  } else if (const auto* object = value->if_object()) {
    json_fields fields{*object, "souffleur.speculation."};
    options.enabled = fields.boolean("enabled").value_or(true);
    if (const auto n = fields.integer("max_draft", 0, 64))
      options.max_draft = static_cast<int>(*n);
    if (const auto n = fields.integer("branches", 1, most_draft_branches))
      options.n_branches = static_cast<int>(*n);
    options.policy = fields.text("policy").value_or("");
    options.drafter = fields.text("drafter").value_or("");
    options.acceptance = fields.text("acceptance").value_or("");
    if (fields.error())
      ours.complain(*fields.error());
  } else {
    ours.complain("speculation", "must be a boolean or an object", "invalid_type");
  }
}

/// OpenAI's predicted output.
void read_prediction(json_fields& fields, std::string& prediction) {
  const auto* object = fields.object("prediction");
  if (object == nullptr)
    return;
  json_fields inner{*object, "prediction."};
  const auto type = inner.text("type");
  if (!type)
    inner.complain("type", "is required", "missing_required_parameter");
  else if (*type != "content")
    inner.complain("type", "must be \"content\"", "unsupported_value");
  if (inner.error())
    return fields.complain(*inner.error());
  const auto* content = object->if_contains("content");
  if (const auto* text = content != nullptr ? content->if_string() : nullptr) {
    prediction = *text;
    return;
  }
  const auto* parts = content != nullptr ? content->if_array() : nullptr;
  if (parts == nullptr) {
    fields.complain("prediction.content", "must be a string or an array of text parts", "invalid_type");
    return;
  }
  for (const auto& part : *parts) {
    const auto* one = part.if_object();
    const auto* type = one != nullptr ? one->if_contains("type") : nullptr;
    const auto* text = one != nullptr ? one->if_contains("text") : nullptr;
    if (type == nullptr || *type != "text" || text == nullptr || !text->is_string()) {
      fields.complain("prediction.content", "may have parts of type \"text\" only");
      return;
    }
    prediction += text->get_string();
  }
}

/// A time to live of a stored answer, in seconds: a year.
constexpr double max_answer_ttl_s = 365 * 86'400.0;
constexpr double max_replay_tokens_per_s = 1e6;

void read_cache_object(json_fields& fields, generation_request& request) {
  const auto mode = fields.text("mode");
  if (mode && *mode != "on") {
    request.cache.mode = cache_mode_named(*mode);
    if (!request.cache.mode)
      fields.complain("mode", "must be \"off\", \"exact\", \"semantic\" or \"on\"");
  }
  request.cache.threshold = fields.number("threshold", {0, 1, false});
  request.cache.max_error = fields.number("max_error", {0, 1, false});
  request.cache.ttl_s = fields.number("ttl_s", {0, max_answer_ttl_s, false});
  request.cache.refresh = fields.boolean("refresh").value_or(false);
  if (const auto pace = fields.number("replay_tokens_per_s", {0, max_replay_tokens_per_s, false}))
    request.replay_tokens_per_s = *pace;
}

void read_cache(json_fields& ours, generation_request& request) {
  const auto* value = ours.find("cache");
  if (value == nullptr)
    return;
  if (value->is_bool()) {
    if (!value->get_bool())
      request.cache.mode = cache_mode::off;
  } else if (const auto* object = value->if_object()) {
    json_fields fields{*object, "souffleur.cache."};
    read_cache_object(fields, request);
    if (fields.error())
      ours.complain(*fields.error());
  } else {
    ours.complain("cache", "must be a boolean or an object", "invalid_type");
  }
}

/// How long a priority counts where the request does not say, in seconds.
constexpr double default_retention_ttl_s = 600;
constexpr double max_retention_ttl_s = 7 * 86'400;

void read_retention(json_fields& ours, retention_wish& wish) {
  const auto* priority = ours.find("cache_priority");
  const auto* text = priority != nullptr ? priority->if_string() : nullptr;
  if (text != nullptr && *text == "pin")
    wish.pinned = true;
  else if (text != nullptr)
    ours.complain("cache_priority", "must be \"pin\" or an integer from 0 to 100");
  else
    wish.priority = static_cast<int>(ours.integer("cache_priority", 0, retention::max_priority).value_or(0));
  wish.ttl_s = default_retention_ttl_s;
  if (const auto ttl = ours.number("cache_ttl_s", {0, max_retention_ttl_s, true})) {
    wish.ttl_s = *ttl;
    if (priority == nullptr)
      ours.complain("cache_ttl_s", "needs 'souffleur.cache_priority'");
  }
}

void read_own_options(json_fields& fields, generation_request& request) {
  const auto* object = fields.object("souffleur");
  if (object == nullptr)
    return;
  json_fields ours{*object, "souffleur."};
  read_speculation(ours, request.speculation);
  read_cache(ours, request);
  read_retention(ours, request.retention);
  if (const auto n = ours.integer("attention_sinks", 0, 4096))
    request.attention.n_sinks = static_cast<int>(*n);
  if (const auto n = ours.integer("attention_window", 1, 1 << 24))
    request.attention.n_window = static_cast<int>(*n);
  request.priority = static_cast<int>(ours.integer("priority", -100, 100).value_or(0));
  request.trace = ours.boolean("trace").value_or(false);
  if (const auto n = ours.integer("max_thinking_tokens", 0, std::numeric_limits<int>::max()))
    request.sampling.max_thinking_tokens = static_cast<int>(*n);
  if (const auto timeout = ours.integer("timeout_ms", 1, 86'400'000))
    request.timeout = std::chrono::milliseconds{*timeout};
  if (ours.error())
    fields.complain(*ours.error());
}

/// What would change the answer if it were ignored.
void refuse_unsupported(json_fields& fields, bool chat) {
  if (chat)
    return;
  if (const auto* suffix = fields.find("suffix"); suffix != nullptr && *suffix != "")
    fields.complain("suffix", "is not supported", "unsupported_value");
  if (const auto best_of = fields.integer("best_of", 1, 1024))
    if (*best_of != fields.integer("n", 1, max_choices).value_or(1))
      fields.complain("best_of", "must equal 'n'", "unsupported_value");
}

using prompt_variant = decltype(generation_request::prompt);

prompt_variant one_prompt(json_fields& fields, const json::value& value) {
  if (const auto* text = value.if_string())
    return text_prompt{std::string{*text}};
  if (const auto* ids = value.if_array())
    return token_prompt{read_token_ids(fields, "prompt", *ids)};
  fields.complain("prompt",
                  "must be a string, an array of strings, an array of token ids or an array of such arrays",
                  "invalid_type");
  return text_prompt{};
}

std::vector<prompt_variant> read_prompts(json_fields& fields, bool chat, const json::array& tools) {
  std::vector<prompt_variant> prompts;
  if (chat) {
    prompts.emplace_back(chat_prompt{read_messages(fields), tools});
    return prompts;
  }
  const auto* value = fields.find("prompt");
  if (value == nullptr) {
    fields.complain("prompt", "is required", "missing_required_parameter");
    return prompts;
  }
  const auto* many = value->if_array();
  if (many != nullptr && many->empty())
    fields.complain("prompt", "must not be empty");
  else if (many != nullptr && !many->front().is_number())
    for (const auto& entry : *many)
      prompts.push_back(one_prompt(fields, entry));
  else
    prompts.push_back(one_prompt(fields, *value));
  return prompts;
}

void add_choices(openai_call& call, const generation_request& form,
                 const std::vector<prompt_variant>& prompts, int n, bool echo) {
  for (const auto& prompt : prompts)
    for (int i = 0; i < n; ++i) {
      auto request = form;
      request.prompt = prompt;
      if (request.seed_given)
        request.sampling.seed = seed_of_choice(form.sampling.seed, i);
      call.generations.push_back(std::move(request));
      const auto* text = std::get_if<text_prompt>(&prompt);
      const auto* tokens = std::get_if<token_prompt>(&prompt);
      call.echoes.push_back(echo && text != nullptr ? text->text : "");
      call.echoed_tokens.push_back(echo && tokens != nullptr ? tokens->tokens : std::vector<token_id>{});
    }
}

void check_model(json_fields& fields, std::string_view model_name) {
  const auto name = fields.text("model");
  if (name && *name != model_name)
    fields.complain(model_not_found(*name, model_name));
}

} // namespace

generation_failed model_not_found(std::string_view wanted, std::string_view served) {
  return {404, "model_not_found",
          "The model '" + std::string{wanted} + "' does not exist; this server has '" + std::string{served} +
              "'.",
          "model", 0};
}

std::uint64_t seed_of_choice(std::uint64_t seed, int index) {
  if (index == 0)
    return seed;
  // SplitMix64 (Steele, Lea and Flood 2014), so that seeds that differ by one share no choice.
  std::uint64_t z = seed + 0x9e3779b97f4a7c15U * static_cast<std::uint64_t>(index);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
  return (z ^ (z >> 31)) >> 11;
}

std::variant<json::value, generation_failed> parse_json(std::string_view text) {
  json::stream_parser parser;
  json::error_code error;
  const auto n_read = parser.write_some(text.data(), text.size(), error);
  if (!error && n_read < text.size())
    error = json::error::extra_data;
  if (!error)
    parser.finish(error);
  if (error)
    return bad_parameter(
        "", "The body is not valid JSON: " + error.message() + " at byte " + std::to_string(n_read) + ".",
        "invalid_json");
  return parser.release();
}

std::variant<openai_call, generation_failed>
parse_openai_request(openai_endpoint endpoint, const json::value& body, std::string_view model_name) {
  if (!body.is_object())
    return bad_parameter("", "The body must be a JSON object, not " + std::string{kind_name(body)} + ".",
                         "invalid_type");
  json_fields fields{body.get_object()};
  openai_call call;
  call.chat = endpoint == openai_endpoint::chat_completions;
  check_model(fields, model_name);
  auto tools = call.chat ? read_tools(fields) : tool_request{};
  const auto prompts = read_prompts(fields, call.chat, tools.tools);
  generation_request form;
  form.sampling = read_sampling(fields, call.chat);
  read_max_tokens(fields, call.chat, form);
  if (const auto seed = fields.integer("seed", std::numeric_limits<std::int64_t>::min(),
                                       std::numeric_limits<std::int64_t>::max())) {
    form.seed_given = true;
    form.sampling.seed = static_cast<std::uint64_t>(*seed);
  }
  read_own_options(fields, form);
  read_prediction(fields, form.prediction);
  form.output = read_output_format(fields);
  call.has_tools = !tools.tools.empty();
  call.parallel_tool_calls = tools.parallel;
  if (call.has_tools && form.output)
    fields.complain(form.output->parameter,
                    "together with 'tools' is not supported: the answer would have "
                    "two forms (tool_choice \"none\" leaves the tools out)",
                    "unsupported_value");
  else if (tools.output)
    form.output = std::move(tools.output);
  call.stream = fields.boolean("stream").value_or(false);
  if (const auto* options = fields.object("stream_options")) {
    json_fields inner{*options, "stream_options."};
    call.include_usage = inner.boolean("include_usage").value_or(false);
    if (inner.error())
      fields.complain(*inner.error());
    else if (!call.stream)
      fields.complain("stream_options", "needs 'stream' to be true");
  }
  const bool echo = !call.chat && fields.boolean("echo").value_or(false);
  if (echo && form.sampling.n_logprobs >= 0)
    fields.complain("echo", "together with 'logprobs' is not supported", "unsupported_value");
  const auto n = static_cast<int>(fields.integer("n", 1, max_choices).value_or(1));
  if (static_cast<int>(prompts.size()) * n > max_choices)
    fields.complain(call.chat ? "n" : "prompt",
                    "asks for more than " + std::to_string(max_choices) + " choices in one call");
  refuse_unsupported(fields, call.chat);
  if (fields.error())
    return *fields.error();
  call.n_per_prompt = n;
  form.n_choices = n;
  add_choices(call, form, prompts, n, echo);
  return call;
}

} // namespace souffleur
