#include "actors/judgement.hpp"

#include <algorithm>
#include <cctype>
#include <string>

namespace souffleur {

namespace {

/// Bytes of a text that the judge is shown: it is to decide quickly.
constexpr std::size_t most_shown = 1200;

std::string shown(const std::string& text) {
  if (text.size() <= most_shown)
    return text;
  auto end = most_shown;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) // within a character
    --end;
  return text.substr(0, end) + " ...";
}

} // namespace

generation_request judgement_of(const doubtful_answer& doubt) {
  const std::string question =
      "Two people asked a question each, and each got an answer.\n\nQuestion 1: " +
      shown(doubt.stored_question) + "\nAnswer 1: " + shown(doubt.stored_answer) +
      "\n\nQuestion 2: " + shown(doubt.asked_question) + "\nAnswer 2: " + shown(doubt.generated_answer) +
      "\n\nWould answer 1 be a right and complete answer to question 2, too? Reply with one word: yes or no.";
  generation_request request;
  request.tenant = "souffleur: judge of cached answers";
  request.prompt = chat_prompt{{boost::json::object{{"role", "user"}, {"content", question}}}, {}};
  request.sampling.temperature = 0;
  request.sampling.max_tokens = 3;
  request.max_tokens_given = true;
  request.cache.mode = cache_mode::off;
  request.priority = -100;
  return request;
}

likeness likeness_said(std::string_view answer) {
  std::string word;
  for (const char letter : answer) {
    if (std::isalpha(static_cast<unsigned char>(letter)) != 0)
      word += static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
    else if (!word.empty())
      break;
  }
  if (word == "yes")
    return likeness::same;
  return word == "no" ? likeness::different : likeness::unknown;
}

} // namespace souffleur
