#include "actors/request_preparation.hpp"

#include "engine/drafting/drafter_set.hpp"
#include "policies/acceptance_policy.hpp"
#include "policies/cache_key.hpp"
#include "policies/draft_policy.hpp"

#include <boost/json/serialize.hpp>

#include <algorithm>
#include <span>

namespace souffleur {

namespace {

generation_failed bad_request(std::string code, std::string message, std::string parameter) {
  return {400, std::move(code), std::move(message), std::move(parameter), 0};
}

using token_list = std::vector<token_id>;

std::variant<token_list, generation_failed> tokens_of(const chat_prompt& chat, const prompt_format& format) {
  if (!chat.tools.empty() && !format.chat->takes_tools())
    return bad_request("unsupported_value", "The model's chat template takes no tools.", "tools");
  chat_input input;
  input.messages = chat.messages;
  input.tools = chat.tools;
  if (const auto bos = format.vocabulary->bos())
    input.bos_token = std::string{format.vocabulary->piece(*bos)};
  input.adds_bos = format.vocabulary->adds_bos();
  if (const auto ends = format.vocabulary->end_tokens(); !ends.empty())
    input.eos_token = std::string{format.vocabulary->piece(ends.front())};
  const auto rendered = format.chat->render(input);
  if (!rendered)
    return bad_request("invalid_messages",
                       "The model's chat template rejects the messages: " + rendered.error(), "messages");
  return format.vocabulary->encode(*rendered, true);
}

std::variant<token_list, generation_failed> tokens_of(const text_prompt& prompt,
                                                      const prompt_format& format) {
  auto tokens = format.vocabulary->encode(prompt.text, true);
  if (const auto bos = format.vocabulary->bos(); bos && format.vocabulary->adds_bos())
    tokens.insert(tokens.begin(), *bos);
  return tokens;
}

std::variant<token_list, generation_failed> tokens_of(const token_prompt& prompt,
                                                      const prompt_format& format) {
  const int n_vocabulary = format.vocabulary->vocabulary_size();
  for (std::size_t i = 0; i < prompt.tokens.size(); ++i)
    if (prompt.tokens[i] < 0 || prompt.tokens[i] >= n_vocabulary)
      return bad_request("invalid_token",
                         "prompt[" + std::to_string(i) + "] is " + std::to_string(prompt.tokens[i]) +
                             "; the vocabulary has ids 0 to " + std::to_string(n_vocabulary - 1) + ".",
                         "prompt");
  return prompt.tokens;
}

cache_sampling cached(const sampling_params& sampling, int max_tokens, const admitted_request& admitted) {
  cache_sampling made;
  made.temperature = sampling.temperature;
  made.top_k = sampling.top_k;
  made.top_p = sampling.top_p;
  made.min_p = sampling.min_p;
  made.repetition_penalty = sampling.repetition_penalty;
  made.presence_penalty = sampling.presence_penalty;
  made.frequency_penalty = sampling.frequency_penalty;
  made.logit_bias.assign(sampling.logit_bias.begin(), sampling.logit_bias.end());
  made.seed = sampling.seed;
  made.acceptance = admitted.speculation.acceptance;
  made.n_logprobs = sampling.n_logprobs;
  made.max_tokens = max_tokens;
  made.min_tokens = sampling.min_tokens;
  made.max_thinking_tokens = sampling.max_thinking_tokens;
  made.ignore_eos = sampling.ignore_eos;
  made.stop = sampling.stop;
  made.stop_token_ids = sampling.stop_token_ids;
  return made;
}

/// A message: its role, its text, and whatever else the template is given of it.
cache_turn turn_of(const boost::json::value& message) {
  cache_turn turn;
  const auto* object = message.if_object();
  if (object == nullptr)
    return {"", "", boost::json::serialize(message)};
  boost::json::object extra = *object;
  if (const auto* role = object->if_contains("role"); role != nullptr && role->is_string()) {
    turn.role = role->get_string();
    extra.erase("role");
  }
  if (const auto* content = object->if_contains("content"); content != nullptr && content->is_string()) {
    turn.text = content->get_string();
    extra.erase("content");
  }
  if (!extra.empty())
    turn.extra = boost::json::serialize(extra);
  return turn;
}

void add_turns(const generation_request& request, cache_subject& subject) {
  if (const auto* chat = std::get_if<chat_prompt>(&request.prompt)) {
    for (const auto& message : chat->messages)
      subject.turns.push_back(turn_of(message));
    if (!chat->tools.empty())
      subject.tools = boost::json::serialize(chat->tools);
  } else if (const auto* text = std::get_if<text_prompt>(&request.prompt)) {
    subject.turns.push_back({"", text->text, ""});
  }
}

constexpr int default_sinks = page_tokens;

/// Sinks and window of a request that has limits, or of one that may outgrow the `n_limit` positions that
/// there is room for.
std::optional<generation_failed> set_window(const attention_options& wanted, const serving_config& config,
                                            int n_limit, admitted_request& admitted) {
  if (wanted.n_sinks && !wanted.n_window && config.window_policy != "sinks")
    return bad_request("invalid_value", "attention_sinks has no meaning without attention_window.",
                       "souffleur.attention_sinks");
  if (!wanted.n_window && config.window_policy != "sinks")
    return std::nullopt;
  admitted.window_policy = "sinks";
  admitted.window.n_sinks = wanted.n_sinks.value_or(default_sinks);
  const auto policy = make_window_policy(admitted.window_policy);
  // The sinks are held twice: as they were computed, and turned.
  const int n_fixed = 2 * policy->n_sinks(admitted.window) + page_tokens;
  const int n_most = (n_limit - n_fixed) / page_tokens * page_tokens;
  if (n_most < page_tokens)
    return bad_request("invalid_value",
                       "There is no room for " + std::to_string(admitted.window.n_sinks) + " sinks.",
                       "souffleur.attention_sinks");
  if (wanted.n_window.value_or(0) > n_most)
    return bad_request("invalid_value",
                       "attention_window is " + std::to_string(*wanted.n_window) +
                           "; this server takes at most " + std::to_string(n_most) + " beside the sinks.",
                       "souffleur.attention_window");
  admitted.window.n_window = wanted.n_window.value_or(n_most);
  return std::nullopt;
}

std::optional<generation_failed> set_speculation(const generation_request& request,
                                                 const prompt_format& format, const serving_config& config,
                                                 admitted_request& admitted) {
  admitted.speculation = request.speculation;
  auto& acceptance = admitted.speculation.acceptance;
  if (acceptance.empty())
    acceptance = config.acceptance_policy;
  const auto policy = make_acceptance_policy(acceptance);
  if (!policy)
    return bad_request("invalid_value",
                       "There is no acceptance policy \"" + acceptance +
                           "\"; known: " + std::string{acceptance_names} + ".",
                       "souffleur.speculation.acceptance");
  const auto& drafting = request.speculation.policy;
  if (!drafting.empty() && !make_draft_policy(drafting))
    return bad_request("invalid_value",
                       "There is no draft policy \"" + drafting +
                           "\"; known: " + std::string{draft_policy_names} + ".",
                       "souffleur.speculation.policy");
  if (!request.prediction.empty())
    admitted.prediction = format.vocabulary->encode(request.prediction, false);
  const auto& drafter = request.speculation.drafter;
  if (!drafter.empty() && !drafters_named(drafter))
    return bad_request("invalid_value",
                       "There is no drafter \"" + drafter + "\"; known: " + std::string{drafter_names} + ".",
                       "souffleur.speculation.drafter");
  if (drafter == "draft_model" && !config.has_draft_model)
    return bad_request("invalid_value", "The server has no draft model (--speculation.draft_model).",
                       "souffleur.speculation.drafter");
  admitted.speculation.enabled = request.speculation.enabled && drafting != "off" && drafter != "off" &&
                                 config.draft_policy_in_force() != "off";
  admitted.is_lossy = request.sampling.temperature > 0 && !policy->lossless();
  return std::nullopt;
}

/// Compiles what the answer has to look like.
std::optional<generation_failed> set_grammar(const generation_request& request, const prompt_format& format,
                                             admitted_request& admitted) {
  if (!request.output)
    return std::nullopt;
  const auto& [wanted, parameter] = *request.output;
  if (!format.grammars)
    return bad_request("unsupported_value", "This server cannot constrain answers.", parameter);
  auto compiled = format.grammars->find_or_compile(wanted);
  if (!compiled)
    return bad_request("invalid_value", "'" + parameter + "': " + compiled.error() + ".", parameter);
  admitted.grammar = std::move(*compiled);
  admitted.output = wanted;
  return std::nullopt;
}

/// An answer that has a form has no thought.
std::optional<generation_failed> set_thoughts(const generation_request& request, const prompt_format& format,
                                              admitted_request& admitted) {
  if (request.sampling.max_thinking_tokens >= 0 && !format.thoughts)
    return bad_request("unsupported_value",
                       "max_thinking_tokens needs a model that thinks: this one's vocabulary has no mark "
                       "such as </think>.",
                       "souffleur.max_thinking_tokens");
  if (!request.output)
    admitted.thoughts = format.thoughts;
  return std::nullopt;
}

/// What the turns of a conversation have in common: of a chat everything up to the first thing that its user
/// said, else the first tokens.
std::uint64_t conversation_of(const generation_request& request, std::span<const token_id> prompt) {
  key_encoder name;
  name.add(request.tenant);
  if (const auto* chat = std::get_if<chat_prompt>(&request.prompt)) {
    for (const auto& message : chat->messages) {
      const auto turn = turn_of(message);
      name.add(turn.role);
      name.add(turn.text);
      name.add(turn.extra);
      if (turn.role == "user")
        break;
    }
  } else {
    constexpr std::size_t n_most = 4 * page_tokens;
    for (const auto token : prompt.first(std::min(prompt.size(), n_most)))
      name.add(std::int64_t{token});
  }
  return key_digest_hash{}(name.digest());
}

cache_limits limits_of(const serving_config& config) {
  cache_limits limits;
  limits.mode = make_cache_policy(config.cache_policy)->mode();
  limits.max_temperature = config.cache_max_temperature;
  limits.threshold = config.cache_threshold;
  limits.max_error = config.cache_max_error;
  limits.ttl_s = static_cast<double>(config.cache_ttl.count());
  return limits;
}

cache_traits traits_of(const generation_request& request, const cache_sampling& sampling, bool is_lossy) {
  cache_traits traits;
  traits.temperature = sampling.temperature;
  traits.is_seeded = request.seed_given;
  traits.n_choices = request.n_choices;
  traits.wants_logprobs = sampling.n_logprobs >= 0;
  if (const auto* chat = std::get_if<chat_prompt>(&request.prompt))
    traits.has_tools = !chat->tools.empty();
  traits.is_lossy = is_lossy;
  return traits;
}

/// Null: the request has nothing to do with the response cache.
cache_terms_ptr terms_of(const generation_request& request, const admitted_request& admitted,
                         cache_sampling sampling, const prompt_format& format, const serving_config& config) {
  auto terms = std::make_shared<cache_terms>();
  terms->permit =
      permit_for(traits_of(request, sampling, admitted.is_lossy), request.cache, limits_of(config));
  if (!terms->permit.exact)
    return nullptr;
  cache_subject subject;
  subject.tenant = request.tenant;
  subject.model = format.fingerprint;
  subject.sampling = std::move(sampling);
  subject.n_sinks = admitted.window.n_sinks;
  subject.n_window = admitted.window.n_window;
  subject.prompt = admitted.prompt;
  if (request.output)
    subject.response_format =
        std::to_string(static_cast<int>(request.output->grammar.in)) + " " + request.output->grammar.source;
  add_turns(request, subject);
  terms->key = key_of(subject);
  terms->owner = cache_owner(request.tenant);
  terms->replay_tokens_per_s =
      request.replay_tokens_per_s < 0 ? config.cache_replay_tokens_per_s : request.replay_tokens_per_s;
  return terms;
}

} // namespace

std::variant<admitted_request, generation_failed> prepare(const generation_request& request,
                                                          const prompt_format& format,
                                                          const serving_config& config,
                                                          std::uint64_t fresh_seed) {
  auto tokens = std::visit([&](const auto& prompt) { return tokens_of(prompt, format); }, request.prompt);
  if (auto* failed = std::get_if<generation_failed>(&tokens))
    return std::move(*failed);
  admitted_request admitted;
  admitted.prompt = std::move(std::get<token_list>(tokens));
  const int n_prompt = static_cast<int>(admitted.prompt.size());
  if (n_prompt == 0)
    return bad_request("empty_prompt", "The prompt is empty.", "prompt");
  // One page more than the tokens: the draft rows of the last steps need a place.
  const int n_pool = (config.n_kv_pages - 1) * page_tokens - config.max_draft;
  const int n_limit = std::min(format.context_length, n_pool);
  // What it drops of a shared prefix stays pinned while some of that prefix is in the window.
  const int n_room = std::min(format.context_length, n_pool / 2);
  if (auto failed = set_window(request.attention, config, n_room, admitted))
    return std::move(*failed);
  const bool is_endless = admitted.window_policy == "sinks";
  if (n_prompt >= n_limit && !is_endless)
    return bad_request("context_length_exceeded",
                       "The prompt has " + std::to_string(n_prompt) + " tokens; this server takes at most " +
                           std::to_string(n_limit - 1) + ".",
                       std::holds_alternative<chat_prompt>(request.prompt) ? "messages" : "prompt");
  auto sampling = request.sampling;
  for (const auto& [token, bias] : sampling.logit_bias)
    if (token < 0 || token >= format.vocabulary->vocabulary_size())
      return bad_request("invalid_token",
                         "logit_bias names token " + std::to_string(token) +
                             ", which is not in the vocabulary.",
                         "logit_bias");
  if (request.max_tokens_given && sampling.max_tokens < 1)
    return bad_request("invalid_value",
                       "max_tokens is " + std::to_string(sampling.max_tokens) + "; it has to be at least 1.",
                       "max_tokens");
  const int n_wanted = request.max_tokens_given ? sampling.max_tokens : config.max_output_tokens;
  sampling.max_tokens = std::min(n_wanted, config.max_output_tokens);
  // What room a prompt leaves follows from the prompt; it must not tell similar questions apart.
  const int n_before_room = sampling.max_tokens;
  if (!is_endless)
    sampling.max_tokens = std::min(sampling.max_tokens, n_limit - n_prompt);
  admitted.most_tokens =
      is_endless ? config.max_output_tokens : std::min(config.max_output_tokens, n_limit - n_prompt);
  sampling.min_tokens = std::min(sampling.min_tokens, sampling.max_tokens);
  if (!request.seed_given)
    sampling.seed = fresh_seed;

  admitted.id = request.id;
  admitted.tenant = request.tenant;
  if (auto failed = set_speculation(request, format, config, admitted))
    return std::move(*failed);
  if (auto failed = set_grammar(request, format, admitted))
    return std::move(*failed);
  if (auto failed = set_thoughts(request, format, admitted))
    return std::move(*failed);
  admitted.conversation = conversation_of(request, admitted.prompt);
  admitted.priority = request.priority;
  admitted.trace = request.trace;
  admitted.retention = request.retention;
  admitted.cached = terms_of(request, admitted, cached(sampling, n_before_room, admitted), format, config);
  admitted.sampling = std::make_shared<const sampling_params>(std::move(sampling));
  return admitted;
}

} // namespace souffleur
