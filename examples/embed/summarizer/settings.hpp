// How documents are summarised.
#pragma once

#include <string>

namespace summarizer {

struct summarizer_settings {
  int section_words = 120;
  int max_tokens = 60;       ///< of an answer
  int sections_at_once = 4;  ///< of a document
  int documents_at_once = 3; ///< more wait
  int max_attempts = 5;      ///< at a document, and at a question
  std::string kill; ///< after the first answer: "document", or one of Souffleur's actors; empty: nobody
};

} // namespace summarizer
