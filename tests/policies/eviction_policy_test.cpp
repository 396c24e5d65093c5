// Planted bugs that these properties caught: see the list above each.
#include "policies/eviction_policy.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <map>
#include <vector>

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
          .age = static_cast<double>(*any),
          .last_lookup = *any};
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

// Planted: queues swapped before anything is learned; age from the creation.
RC_GTEST_PROP(EvictionPolicy, LhdIsLruUntilItHasLearned, ()) {
  const auto lhd = make_eviction_policy("lhd");
  const auto a = any_node();
  const auto b = any_node();
  const auto now = std::max(a.last_lookup, b.last_lookup) + *rc::gen::inRange<std::uint64_t>(0, 100);
  RC_ASSERT((lhd->key(a) < lhd->key(b)) == (key("lru", a) < key("lru", b)));
  if (a.last_lookup <= b.last_lookup) {
    RC_ASSERT(lhd->worth(a, now) <= lhd->worth(b, now));
  }
}

namespace {
enum class told { found, lost, returned };

/// Tells `lhd` of 200 lookups: each finds four pages of one queue, or loses four, or misses four that it had
/// evicted.
std::uint64_t teach(eviction_policy& lhd, told what, std::uint64_t hits) {
  lhd.start(64);
  auto node = cached_node{};
  node.n_pages = 4;
  node.hits = hits;
  auto now = std::uint64_t{20};
  for (; now < 220; ++now) {
    node.last_lookup = now - 10;
    lhd.missed(0, now);
    if (what == told::found) {
      lhd.found(node, now);
    }
    for (auto page = now * 4; what != told::found && page < now * 4 + 4; ++page) {
      lhd.evicted(node, page, now);
      if (what == told::returned) {
        lhd.missed(page, now);
      }
    }
  }
  return now;
}
} // namespace

// Planted: any of the three never told; the queues' densities swapped.
TEST(EvictionPolicy, LhdLearnsWhichQueueIsWorthKeeping) {
  for (const auto what : {told::found, told::lost, told::returned}) {
    for (const auto hits : {0, 3}) {
      const auto lhd = make_eviction_policy("lhd");
      auto known = cached_node{};
      known.hits = static_cast<std::uint64_t>(hits);
      const auto now = teach(*lhd, what, known.hits);
      known.last_lookup = now - 8;
      auto other = known;
      other.hits = 3 - known.hits;
      if (what == told::lost) {
        EXPECT_LT(lhd->worth(known, now), lhd->worth(other, now));
      } else {
        EXPECT_GT(lhd->worth(known, now), lhd->worth(other, now));
      }
    }
  }
}

// Planted: a page that counts twice when it is missed twice; one that is forgotten although it was evicted
// again since; the gap of the page before it in place of its own.
RC_GTEST_PROP(EvictionPolicy, LhdRemembersTheLastTwoPoolsOfEvictedPages, ()) {
  struct memory {
    std::uint64_t since = 0;
    std::uint64_t gap = 0;
  };
  const auto lhd = make_eviction_policy("lhd");
  const auto n_pages = *rc::gen::inRange(1, 6);
  lhd->start(n_pages);
  auto order = std::vector<std::pair<page_hash, std::uint64_t>>{}; // of what it came to know
  auto known = std::map<page_hash, memory>{};
  auto now = std::uint64_t{0};
  const auto remember = [&](page_hash page, std::uint64_t gap) {
    known[page] = {now, gap};
    order.emplace_back(page, now);
    if (order.size() > 2 * static_cast<std::size_t>(n_pages)) {
      const auto [oldest, since] = order.front();
      if (known.contains(oldest) && known[oldest].since == since) {
        known.erase(oldest);
      }
      order.erase(order.begin());
    }
  };
  const auto page = rc::gen::inRange<page_hash>(0, 20);
  for (const auto& [hash, evicts] : *rc::gen::container<std::vector<std::pair<page_hash, bool>>>(
           rc::gen::pair(page, rc::gen::arbitrary<bool>()))) {
    ++now;
    if (evicts) {
      lhd->evicted({.last_lookup = now}, hash, now);
      remember(hash, 0);
    } else {
      const auto at = known.find(hash);
      RC_ASSERT(lhd->missed(hash, now) == (at != known.end()));
      if (at != known.end() && at->second.gap == 0) {
        remember(hash, now - at->second.since);
      }
    }
    const auto at = known.find(hash);
    RC_ASSERT(lhd->gap_of(hash, 77) == (at != known.end() && at->second.gap > 0 ? at->second.gap : 77));
  }
}

TEST(EvictionPolicy, IsMadeByNameOnly) {
  for (const char* name : {"lru", "lfu", "fifo", "slru", "gdsf", "lhd"}) {
    ASSERT_NE(make_eviction_policy(name), nullptr);
    EXPECT_EQ(make_eviction_policy(name)->name(), name);
  }
  EXPECT_EQ(make_eviction_policy(""), nullptr);
}
