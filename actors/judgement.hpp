// The question whether two answers say the same, put to a chat model, and what its answer means.
#pragma once

#include "actors/messages/generation.hpp"
#include "actors/messages/response_cache.hpp"

#include <string_view>

namespace souffleur {

/// Greedy, of a few tokens, after everybody else, and never cached. Without an id.
generation_request judgement_of(const doubtful_answer& doubt);

/// `unknown` unless the first word is yes or no.
likeness likeness_said(std::string_view answer);

} // namespace souffleur
