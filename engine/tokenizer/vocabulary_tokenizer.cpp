#include "engine/tokenizer/vocabulary_tokenizer.hpp"

#include "engine/tokenizer/utf8.hpp"

#include <algorithm>

namespace souffleur {

std::vector<token_id> vocabulary_tokenizer::encode(std::string_view text, bool parse_special) const {
  const auto repaired = repaired_utf8(text);
  const std::string_view whole = repaired;
  std::vector<token_id> tokens;
  std::size_t done = 0;
  const auto append_until = [&](std::size_t end) {
    if (end > done)
      append_text(whole.substr(done, end - done), tokens);
  };
  while (const auto special = words_.specials.find(whole, done, parse_special)) {
    append_until(special->begin);
    tokens.push_back(special->token);
    done = special->end;
  }
  append_until(whole.size());
  return tokens;
}

std::string_view vocabulary_tokenizer::piece(token_id token) const {
  return knows(token) ? std::string_view{words_.pieces[static_cast<std::size_t>(token)]} : std::string_view{};
}

bool vocabulary_tokenizer::is_control(token_id token) const {
  return knows(token) && is_control_kind(words_.kinds[static_cast<std::size_t>(token)]);
}

bool vocabulary_tokenizer::is_end(token_id token) const {
  return std::find(words_.ends.begin(), words_.ends.end(), token) != words_.ends.end();
}

} // namespace souffleur
