// From the JSON of OpenAI's two generation endpoints to generation requests.
#pragma once

#include "actors/messages/generation.hpp"

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace souffleur {

/// One POST: one generation per choice, in the order of the choices' indices.
struct openai_call {
  bool chat = false;
  bool stream = false;
  bool include_usage = false;      ///< of `stream_options`
  bool has_tools = false;          ///< answers may call functions
  bool parallel_tool_calls = true; ///< more than one in an answer
  int n_per_prompt = 1;
  std::optional<boost::json::object> responses; ///< of /v1/responses: what the answer repeats of it
  std::vector<generation_request> generations;  ///< their `id`s are still to be given
  std::vector<std::string> echoes;              ///< per choice, with `echo`: the prompt's text; else empty
  std::vector<std::vector<token_id>> echoed_tokens; ///< instead, where the prompt came as ids
};

enum class openai_endpoint : std::uint8_t { chat_completions, completions };

/// Choices (n times the number of prompts) that one call may ask for.
constexpr int max_choices = 32;

/// Checks every field it knows; the error names the first wrong one. Unknown fields are ignored.
/// `model_name` is the only model served. The names and ranges are OpenAI's; top_k, min_p,
/// repetition_penalty, ignore_eos, min_tokens and stop_token_ids are vLLM's; ours are in the object
/// `souffleur`.
std::variant<openai_call, generation_failed>
parse_openai_request(openai_endpoint endpoint, const boost::json::value& body, std::string_view model_name);

/// 404 for a model that is not the one served.
generation_failed model_not_found(std::string_view wanted, std::string_view served);

/// Parses JSON text; the error says where it is malformed.
std::variant<boost::json::value, generation_failed> parse_json(std::string_view text);

/// The seed of choice `index` of a call with `seed`; choice 0 has the seed itself.
std::uint64_t seed_of_choice(std::uint64_t seed, int index);

} // namespace souffleur
