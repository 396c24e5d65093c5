// A request in one call, for programs that embed Souffleur.
#pragma once

#include "actors/messages/generation.hpp"

#include <string>

namespace souffleur {

/// A chat of one question, answered in at most `max_tokens` tokens. `instructions` are its system message;
/// empty: there is none. Sampling and the rest are as in a request that says nothing of them.
generation_request chat_request(const std::string& question, int max_tokens,
                                const std::string& instructions = "");

} // namespace souffleur
