#include "policies/eviction_policy.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

using namespace souffleur;

namespace {
cached_node any_node() {
  const auto any = rc::gen::inRange<std::uint64_t>(0, 6);
  return {*any, *any, *any, 1};
}
bool before(const char* policy, const cached_node& a, const cached_node& b) {
  const auto p = make_eviction_policy(policy);
  return p->key(a) < p->key(b);
}
} // namespace

RC_GTEST_PROP(EvictionPolicy, OrdersByItsOwnMeasureAndThenByAge, ()) {
  const auto a = any_node();
  const auto b = any_node();
  RC_ASSERT(before("lru", a, b) == (std::pair(a.last_used, a.created) < std::pair(b.last_used, b.created)));
  RC_ASSERT(before("lfu", a, b) == (std::pair(a.hits, a.created) < std::pair(b.hits, b.created)));
  RC_ASSERT(before("fifo", a, b) == (a.created < b.created));
}

TEST(EvictionPolicy, IsMadeByNameOnly) {
  for (const char* name : {"lru", "lfu", "fifo"}) {
    ASSERT_NE(make_eviction_policy(name), nullptr);
    EXPECT_EQ(make_eviction_policy(name)->name(), name);
  }
  EXPECT_EQ(make_eviction_policy(""), nullptr);
}
