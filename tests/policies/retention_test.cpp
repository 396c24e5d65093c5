// Histories of wishes against all that was ever wished. Planted bugs that the properties caught: see the list
// above each.
#include "policies/retention.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <vector>

using namespace souffleur;

namespace {

retention_wish any_wish() {
  return {.priority = *rc::gen::inRange(-2, 104),
          .pinned = *rc::gen::weightedElement<bool>({{2, false}, {1, true}}),
          .ttl_s = *rc::gen::inRange(0, 10) / 2.0};
}

/// Wishes for stretches of a pool, one after the other.
struct shadow_pool {
  struct stretch {
    int n_pages = 0;
    retention granted;
    std::vector<retention> wished; ///< with what a pin is worth
  };

  void wish(std::size_t at, const retention_wish& wanted, double now_s) {
    auto& one = stretches[at];
    one.granted = rules.grant(one.granted, wanted, one.n_pages, n_pinned(), now_s);
    one.wished.push_back({.level = wanted.pinned ? retention::pin_level : std::clamp(wanted.priority, 0, 100),
                          .until_s = now_s + wanted.ttl_s});
  }
  int n_pinned() const {
    auto n = 0;
    for (const auto& one : stretches) {
      n += one.granted.pinned() ? one.n_pages : 0;
    }
    return n;
  }

  retention_policy rules;
  std::vector<stretch> stretches;
};

shadow_pool any_pool() {
  auto pool = shadow_pool{.rules = {100, *rc::gen::inRange(-1, 12) / 10.0}, .stretches = {}};
  for (const auto n : *rc::gen::container<std::vector<int>>(4, rc::gen::inRange(1, 60))) {
    pool.stretches.push_back({.n_pages = n, .granted = {}, .wished = {}});
  }
  return pool;
}

} // namespace

// Planted: a time that is up at the end of its last moment, not at its start; a lower wish that replaces a
// higher one; of equal ones the earlier time; a refused pin that counts nothing; priorities above the
// highest.
RC_GTEST_PROP(Retention, IsTheHighestWishWhoseTimeIsNotUp, ()) {
  auto pool = any_pool();
  auto now_s = 0.0;
  for (const auto at : *rc::gen::container<std::vector<std::size_t>>(rc::gen::inRange<std::size_t>(0, 4))) {
    now_s += *rc::gen::inRange(0, 4) / 2.0;
    auto& one = pool.stretches[at];
    const auto before = one.granted = valid_at(one.granted, now_s);
    const auto wanted = any_wish();
    pool.wish(at, wanted, now_s);
    std::erase_if(one.wished, [&](const auto& wish) { return wish.level == 0 || now_s >= wish.until_s; });
    if (one.wished.empty()) {
      RC_ASSERT(one.granted == retention{});
      continue;
    }
    const auto highest = std::ranges::max(one.wished, {}, &retention::level).level;
    RC_ASSERT(one.granted.level >= before.level);
    RC_ASSERT(one.granted.level <= highest);
    // What was lower when it was wished may have been forgotten, and a pin may have been refused.
    const auto& last = one.wished.back();
    if (wanted.ttl_s > 0 && (wanted.pinned || wanted.priority > 0)) {
      RC_ASSERT(one.granted.level >= std::min(last.level, retention::max_priority));
      RC_ASSERT(one.granted.level > std::min(last.level, retention::max_priority) ||
                one.granted.until_s >= last.until_s);
    }
    RC_ASSERT(one.granted.until_s <= std::ranges::max(one.wished, {}, &retention::until_s).until_s);
    RC_ASSERT(valid_at(one.granted, one.granted.until_s) == retention{});
  }
}

// Planted: a share of the free pages instead of all; the stretch's own pages not counted; a pin that is lost
// when it is wished again and the share is full.
RC_GTEST_PROP(Retention, NeverPinsMoreThanItsShareNorUnpinsEarly, ()) {
  auto pool = any_pool();
  auto now_s = 0.0;
  for (const auto at : *rc::gen::container<std::vector<std::size_t>>(rc::gen::inRange<std::size_t>(0, 4))) {
    now_s += *rc::gen::inRange(0, 3) / 2.0;
    for (auto& one : pool.stretches) {
      one.granted = valid_at(one.granted, now_s);
    }
    const auto before = pool.stretches[at].granted;
    const auto n_others = pool.n_pinned() - (before.pinned() ? pool.stretches[at].n_pages : 0);
    auto wanted = any_wish();
    wanted.ttl_s += 0.5;
    pool.wish(at, wanted, now_s);
    RC_ASSERT(pool.n_pinned() <= pool.rules.max_pinned());
    const auto fits = n_others + pool.stretches[at].n_pages <= pool.rules.max_pinned();
    RC_ASSERT(pool.stretches[at].granted.pinned() == (before.pinned() || (wanted.pinned && fits)));
    RC_ASSERT(pool.stretches[at].granted.until_s >= before.until_s || !before.pinned());
    RC_ASSERT(pool.stretches[at].granted.until_s >= now_s + wanted.ttl_s || !before.pinned() ||
              !wanted.pinned);
  }
}

TEST(Retention, TakesAnyShare) {
  EXPECT_EQ(retention_policy(100, 0.25).max_pinned(), 25);
  EXPECT_EQ(retention_policy(100, -1).max_pinned(), 0);
  EXPECT_EQ(retention_policy(100, 7).max_pinned(), 100);
}
