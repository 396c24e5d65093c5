// What fake_model's letters are to be taken for if it thinks, and what it must answer then.
#pragma once

#include "policies/thought.hpp"
#include "tests/actors/fake_model.hpp"

#include <memory>
#include <utility>
#include <vector>

namespace souffleur::testing {

inline std::shared_ptr<const thought_marks> fake_thoughts() {
  static const auto marks = std::make_shared<const thought_marks>(3, 7, std::vector<token_id>{7, 28, 5});
  return marks;
}

/// Whether a thought is open behind `output`, and the tokens of all thoughts in it, counted from its start.
inline std::pair<bool, int> thoughts_in(const std::vector<token_id>& prompt,
                                        const std::vector<token_id>& output, const thought_marks& marks) {
  bool is_open = false;
  int n_tokens = 0;
  for (auto i = prompt.size() < 3 ? 0 : prompt.size() - 3; i < prompt.size(); ++i)
    is_open = prompt[i] == marks.begin ? true : prompt[i] == marks.end ? false : is_open;
  for (const auto token : output) {
    const bool is_mark = token == (is_open ? marks.end : marks.begin);
    n_tokens += is_open && !is_mark ? 1 : 0;
    is_open = is_open != is_mark;
  }
  return {is_open, n_tokens};
}

/// What a model answers whose thoughts have at most `sampling.max_thinking_tokens`, and none more than what
/// was there of them behind `hushed_at` tokens.
inline std::vector<token_id> expected_output(const std::vector<token_id>& prompt,
                                             const sampling_params& sampling, const thought_marks& marks,
                                             std::size_t hushed_at) {
  std::vector<token_id> output;
  int n_most = sampling.max_thinking_tokens < 0 ? sampling.max_tokens : sampling.max_thinking_tokens;
  const auto is_full = [&] { return static_cast<int>(output.size()) >= sampling.max_tokens; };
  while (!is_full()) {
    const auto [is_open, n_tokens] = thoughts_in(prompt, output, marks);
    if (output.size() == hushed_at)
      n_most = std::min(n_most, n_tokens);
    if (is_open && n_tokens >= n_most) {
      for (const auto token : marks.closing)
        if (!is_full())
          output.push_back(token);
      continue;
    }
    output.push_back(expected_token(prompt, sampling, output, [](std::span<float>) {}));
    if (output.back() == fake_end && !sampling.ignore_eos)
      break;
  }
  return output;
}

} // namespace souffleur::testing
