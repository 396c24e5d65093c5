// A stored answer streamed again: whenever its reader looks, the deltas are the answer, in order and once
// (C10).
#include "actors/cache_replay.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace souffleur {
namespace {

cached_answer_ptr answer_of(int n_tokens, const std::string& tail) {
  auto answer = std::make_shared<cached_answer>();
  for (int i = 0; i < n_tokens; ++i)
    answer->pieces.push_back({i, std::string(1, 'b'), i % 3 == 0 ? "" : std::to_string(i)});
  answer->tail = tail;
  return answer;
}

RC_GTEST_PROP(CacheReplay, TellsTheAnswerWheneverItIsAsked, ()) {
  const auto answer = answer_of(*rc::gen::inRange(0, 30), *rc::gen::element<std::string>("", "tail"));
  const double pace = *rc::gen::element(0.0, 1.0, 50.0, 1e6);
  const auto start = std::chrono::steady_clock::now();
  cache_replay replay{answer, pace, start};
  std::vector<token_id> tokens;
  std::string text;
  auto now = start;
  const auto take = [&] {
    const auto delta = replay.take(now);
    for (const auto& token : delta.tokens) {
      RC_ASSERT(token.origin == token_origin::cache);
      tokens.push_back(token.id);
    }
    text += delta.text();
  };
  take();
  RC_ASSERT((answer->pieces.empty() || !tokens.empty()));
  while (!replay.done()) {
    RC_ASSERT(pace > 0);
    if (*rc::gen::arbitrary<bool>()) {
      now = std::max(now, replay.next());
      const auto n_before = tokens.size();
      take();
      RC_ASSERT(tokens.size() > n_before); // so that nobody is woken in vain
    } else {
      now += std::chrono::milliseconds{*rc::gen::inRange(0, 3000)};
      take();
    }
    const double since_s = std::chrono::duration<double>(now - start).count();
    RC_ASSERT(static_cast<double>(tokens.size()) <= since_s * pace + 1);
  }
  RC_ASSERT(text == answer->text());
  RC_ASSERT(tokens.size() == answer->pieces.size());
  for (std::size_t i = 0; i < tokens.size(); ++i)
    RC_ASSERT(tokens[i] == answer->pieces[i].id);
  take();
  RC_ASSERT(text == answer->text());
}

} // namespace
} // namespace souffleur
