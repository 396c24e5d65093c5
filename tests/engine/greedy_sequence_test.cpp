#include "engine/greedy_sequence.hpp"

#include "tests/actors/fake_model.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

using namespace souffleur;
using namespace souffleur::testing;

namespace {

constexpr std::size_t n_tokens = 40;

std::vector<token_id> alone(const std::vector<token_id>& prompt) {
  sampling_params greedy;
  greedy.temperature = 0;
  std::vector<token_id> output;
  while (prompt.size() + output.size() < n_tokens)
    output.push_back(expected_token(prompt, greedy, output, [](std::span<float>) {}));
  auto text = prompt;
  text.insert(text.end(), output.begin(), output.end());
  return text;
}

} // namespace

RC_GTEST_PROP(GreedySequence, SaysWhatTheModelSaysWhateverIsDrafted, ()) {
  const auto prompt = *rc::gen::nonEmpty(
      rc::gen::resize(20, rc::gen::container<std::vector<token_id>>(rc::gen::inRange(0, fake_vocabulary))));
  const auto right = alone(prompt);
  fake_model model{8};
  greedy_sequence text{model, prompt};
  while (text.tokens().size() < n_tokens) {
    const auto n_before = text.tokens().size();
    std::vector<token_id> draft(
        right.begin() + static_cast<std::ptrdiff_t>(n_before),
        right.begin() +
            static_cast<std::ptrdiff_t>(std::min(n_tokens, n_before + *rc::gen::inRange<std::size_t>(0, 6))));
    const auto n_right = *rc::gen::inRange<std::size_t>(0, draft.size() + 1);
    if (n_right < draft.size())
      draft[n_right] = (draft[n_right] + 1) % fake_vocabulary;
    text.step(draft);
    RC_ASSERT(text.tokens().size() == n_before + n_right + 1);
  }
  RC_ASSERT(std::equal(right.begin(), right.end(), text.tokens().begin()));
}
