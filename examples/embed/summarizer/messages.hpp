// What the program's actors tell each other, and what they are told from outside.
#pragma once

#include <souffleur/actors/caf_compat.hpp>
#include <souffleur/actors/messages/generation.hpp>

#include <cstddef>
#include <string>

namespace summarizer {

/// Documents are numbered in the order in which they were given.
using document_number = std::size_t;

struct document {
  std::string name;
  std::string text;
};

/// From a document's actor to the supervisor. First something of an answer, then the whole of it.
struct answer_grows {
  std::string last_words;
};
struct section_answered {
  souffleur::generation_usage usage;
};
/// Souffleur could not answer; the question is put again.
struct question_retried {};
struct document_summarised {
  document_number number = 0;
  std::string summary;
};

/// From a document's actor to itself.
struct retry_due {};

/// From outside to the supervisor: whatever is not finished will not be.
struct interrupted {};

} // namespace summarizer

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(summarizer::answer_grows)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(summarizer::section_answered)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(summarizer::question_retried)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(summarizer::document_summarised)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(summarizer::retry_due)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(summarizer::interrupted)
