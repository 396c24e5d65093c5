// What a request says about the form of its answer: OpenAI's, vLLM's and llama.cpp's words for it.
#pragma once

#include "actors/messages/generation.hpp"
#include "net/json_fields.hpp"

#include <optional>

namespace souffleur {

/// `response_format` (OpenAI), `guided_json`, `guided_regex`, `guided_choice`, `guided_grammar` and
/// `structured_outputs` (vLLM), `json_schema` and `grammar` (llama.cpp). At most one may be given. Nothing:
/// any text will do. What the schemas and patterns say is checked where they are compiled.
std::optional<output_constraint> read_output_format(json_fields& fields);

} // namespace souffleur
