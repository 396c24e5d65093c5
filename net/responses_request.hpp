// OpenAI's Responses endpoint in the words of its chat endpoint.
#pragma once

#include "net/openai_request.hpp"

#include <boost/json/value.hpp>

#include <string_view>
#include <variant>

namespace souffleur {

/// The call of POST /v1/responses. What it shares with chats is checked there; errors have the names of this
/// endpoint. Nothing is stored: what refers to earlier responses is refused, and so is what would be ignored
/// although it changes the answer. Items of kinds that only tell what a model thought are left out.
std::variant<openai_call, generation_failed> parse_responses_request(const boost::json::value& body,
                                                                     std::string_view model_name);

} // namespace souffleur
