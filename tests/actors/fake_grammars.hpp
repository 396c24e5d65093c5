// Grammars over the fake tokenizer's letters.
#pragma once

#include "engine/grammar/grammar_library.hpp"
#include "tests/actors/fake_text.hpp"

#include <array>
#include <cstddef>
#include <limits>
#include <memory>
#include <span>
#include <vector>

namespace souffleur::testing {

inline constexpr std::size_t n_fake_grammars = 3;

/// The first goes on as long as one likes, the second has parts without a choice, the third has nested parts.
inline std::shared_ptr<grammar::token_grammar> fake_grammar(std::size_t which) {
  using grammar::language;
  static const std::array<grammar::output_grammar, n_fake_grammars> all{
      {{language::regex, "([a-m]{1,3} )+[n-z]!?"},
       {language::regex, "a{0,3}(bcd|bce)*[f-z,]{2}abcdefg"},
       {language::gbnf, "root ::= \"a\" root \"b\" | [c-z] [c-z]? | \"abc\" root"}}};
  static grammar::grammar_library library{std::make_shared<fake_tokenizer>()};
  return *library.find_or_compile(all[which]);
}

/// All of what may not follow the text of `cursor` gets -inf, looked at token by token.
inline void forbid_by_grammar(const grammar::grammar_cursor& cursor, std::span<float> logits) {
  const fake_tokenizer vocabulary;
  for (token_id token = 0; token < fake_vocabulary; ++token) {
    const bool fits =
        vocabulary.is_end(token) ? cursor.can_end() : !vocabulary.is_control(token) && cursor.after(token);
    if (!fits)
      logits[static_cast<std::size_t>(token)] = -std::numeric_limits<float>::infinity();
  }
}

/// As expected_output, with a grammar.
inline std::vector<token_id> expected_output(const std::vector<token_id>& prompt,
                                             const sampling_params& sampling,
                                             grammar::grammar_cursor cursor) {
  std::vector<token_id> output;
  while (true) {
    const auto next = expected_token(prompt, sampling, output, [&](std::span<float> logits) {
      forbid_by_grammar(cursor, logits);
      if (sampling.ignore_eos)
        logits[static_cast<std::size_t>(fake_end)] = -std::numeric_limits<float>::infinity();
    });
    output.push_back(next);
    if (next == fake_end)
      return output;
    cursor = *cursor.after(next);
    if (cursor.is_over() || static_cast<int>(output.size()) >= sampling.max_tokens)
      return output;
  }
}

} // namespace souffleur::testing
