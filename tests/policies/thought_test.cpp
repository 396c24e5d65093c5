#include "policies/thought.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

namespace souffleur {
namespace {

using ids = std::vector<token_id>;

constexpr token_id begin_mark = 1;
constexpr token_id end_mark = 2;

thought_reader reader_of(const ids& prompt) {
  return {std::make_shared<const thought_marks>(begin_mark, end_mark, ids{end_mark, 0}), prompt};
}

rc::Gen<ids> some_tokens() { return rc::gen::container<ids>(rc::gen::inRange(0, 4)); }

TEST(ThoughtReader, APromptMayBeginTheThoughtWithWhiteSpaceBehind) {
  EXPECT_TRUE(reader_of({3, begin_mark}).is_open());
  EXPECT_TRUE(reader_of({begin_mark, 0, 0}).is_open());
  EXPECT_FALSE(reader_of({begin_mark, 0, 0, 0}).is_open()) << "somebody else's, earlier";
  EXPECT_FALSE(reader_of({begin_mark, end_mark, 0}).is_open()) << "a template that leaves it empty";
  EXPECT_FALSE(reader_of({}).is_open());
}

TEST(ThoughtReader, WhatAPromptHasOfAThoughtIsNotTheAnswers) {
  auto reader = reader_of({begin_mark, 0});
  EXPECT_EQ(reader.n_tokens(), 0);
  reader.read(3);
  EXPECT_EQ(reader.n_tokens(), 1);
}

/// What was read, taken apart by marks, says the same.
RC_GTEST_PROP(ThoughtReader, CountsWhatIsBetweenTheMarks, ()) {
  const auto is_begun = *rc::gen::arbitrary<bool>();
  const auto answer = *some_tokens();
  auto reader = reader_of(is_begun ? ids{begin_mark} : ids{});
  bool is_open = is_begun;
  std::ptrdiff_t n_expected = 0;
  for (auto at = answer.begin(); at != answer.end();) {
    const auto next = std::find(at, answer.end(), is_open ? end_mark : begin_mark);
    n_expected += is_open ? next - at : 0;
    is_open = is_open != (next != answer.end());
    at = next == answer.end() ? next : next + 1;
  }
  for (const auto token : answer)
    reader.read(token);
  RC_ASSERT(reader.is_open() == is_open);
  RC_ASSERT(reader.n_tokens() == n_expected);
}

} // namespace
} // namespace souffleur
