// Planted bugs that these properties caught: see the list above each.
#include "policies/eviction_policy.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

using namespace souffleur;

namespace {
cached_node any_node() {
  const auto any = rc::gen::inRange<std::uint64_t>(0, 6);
  return {.created = *any,
          .last_used = *any,
          .hits = *any,
          .forks = *any,
          .n_pages = 1,
          .depth_pages = *rc::gen::inRange(1, 4000),
          .age = static_cast<double>(*any)};
}
eviction_key key(const char* policy, const cached_node& node) {
  return make_eviction_policy(policy)->key(node);
}
bool before(const char* policy, const cached_node& a, const cached_node& b) {
  return key(policy, a) < key(policy, b);
}
} // namespace

// Planted: slru by hits instead of by segment.
RC_GTEST_PROP(EvictionPolicy, OrdersByItsOwnMeasureAndThenByAge, ()) {
  const auto a = any_node();
  const auto b = any_node();
  RC_ASSERT(before("lru", a, b) == (std::pair(a.last_used, a.created) < std::pair(b.last_used, b.created)));
  RC_ASSERT(before("lfu", a, b) == (std::pair(a.hits, a.created) < std::pair(b.hits, b.created)));
  RC_ASSERT(before("fifo", a, b) == (a.created < b.created));
  RC_ASSERT(before("slru", a, b) ==
            (std::pair(a.hits > 0, a.last_used) < std::pair(b.hits > 0, b.last_used)));
}

// Planted: cost that falls with the depth; frequency left out; age left out.
RC_GTEST_PROP(EvictionPolicy, GdsfKeepsTheFrequentTheDeepAndTheRecent, ()) {
  const auto one = any_node();
  auto more = one;
  ++more.hits;
  RC_ASSERT(before("gdsf", one, more));
  more = one;
  ++more.forks;
  RC_ASSERT((one.forks == 0 ? !before("gdsf", more, one) : before("gdsf", one, more)));
  more = one;
  ++more.depth_pages;
  RC_ASSERT(before("gdsf", one, more));
  more = one;
  more.age += 1;
  RC_ASSERT(before("gdsf", one, more));
}

// Planted: age left out.
RC_GTEST_PROP(EvictionPolicy, GdsfForgetsAnyFame, ()) {
  const auto famous = any_node();
  auto fresh = any_node();
  fresh.age = key("gdsf", famous).first;
  RC_ASSERT(before("gdsf", famous, fresh));
}

TEST(EvictionPolicy, IsMadeByNameOnly) {
  for (const char* name : {"lru", "lfu", "fifo", "slru", "gdsf"}) {
    ASSERT_NE(make_eviction_policy(name), nullptr);
    EXPECT_EQ(make_eviction_policy(name)->name(), name);
  }
  EXPECT_EQ(make_eviction_policy(""), nullptr);
}
