// Planted bugs that these properties caught: see the list above each.
#include "policies/answer_eviction.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <utility>

using namespace souffleur;

namespace {
answer_use any_use() {
  const auto any = rc::gen::inRange<std::uint64_t>(0, 6);
  return {.created = *any,
          .last_used = *any,
          .hits = *any,
          .n_tokens = *rc::gen::inRange<std::uint64_t>(1, 1000),
          .n_bytes = *rc::gen::inRange<std::uint64_t>(1000, 9000),
          .age = static_cast<double>(*any)};
}
bool before(const char* policy, const answer_use& a, const answer_use& b) {
  const auto made = make_answer_eviction(policy);
  return made->key(a) < made->key(b);
}
} // namespace

// Planted: lru by creation; lfu without the last use.
RC_GTEST_PROP(AnswerEviction, OrdersByItsOwnMeasure, ()) {
  const auto a = any_use();
  const auto b = any_use();
  RC_ASSERT(before("lru", a, b) == (std::pair(a.last_used, a.created) < std::pair(b.last_used, b.created)));
  RC_ASSERT(before("lfu", a, b) == (std::pair(a.hits, a.last_used) < std::pair(b.hits, b.last_used)));
}

// Planted: tokens left out; bytes the wrong way round; age left out.
RC_GTEST_PROP(AnswerEviction, GdsfKeepsWhatIsOftenUsedLongToMakeSmallAndRecent, ()) {
  const auto one = any_use();
  auto more = one;
  ++more.hits;
  RC_ASSERT(before("gdsf", one, more));
  more = one;
  ++more.n_tokens;
  RC_ASSERT(before("gdsf", one, more));
  more = one;
  ++more.n_bytes;
  RC_ASSERT(before("gdsf", more, one));
  more = one;
  more.age += 1;
  RC_ASSERT(before("gdsf", one, more));
}

TEST(AnswerEviction, AnUnknownNameGivesNone) {
  EXPECT_EQ(make_answer_eviction("lhd"), nullptr);
  for (const auto* name : {"gdsf", "lru", "lfu"})
    EXPECT_EQ(make_answer_eviction(name)->name(), name);
}
