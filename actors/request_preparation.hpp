// From what a client sent to what the scheduler runs: template, tokens, limits, seed, deadline, cache key.
#pragma once

#include "actors/messages/admission.hpp"
#include "actors/serving_config.hpp"
#include "engine/chat_template.hpp"
#include "engine/grammar/grammar_library.hpp"
#include "engine/tokenizer.hpp"
#include "policies/cache_policy.hpp"
#include "policies/thought.hpp"

#include <memory>
#include <string>
#include <variant>

namespace souffleur {

/// What intake knows of the served model. Immutable, shared between threads.
struct prompt_format {
  std::shared_ptr<const tokenizer> vocabulary;
  std::shared_ptr<const chat_template> chat;
  std::string fingerprint;
  int context_length = 0;
  std::shared_ptr<grammar::grammar_library> grammars = nullptr; ///< null: no answer can be constrained
  std::shared_ptr<const thought_marks> thoughts = nullptr;      ///< null: the model does not think
};

/// Either ready to run (without reply and times), or the error that the client gets.
std::variant<admitted_request, generation_failed> prepare(const generation_request& request,
                                                          const prompt_format& format,
                                                          const serving_config& config,
                                                          std::uint64_t fresh_seed);

} // namespace souffleur
