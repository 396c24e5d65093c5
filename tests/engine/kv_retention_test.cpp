// What requests wish to keep, in the manager: against the order in which an oracle with the same pages would
// have to give them up. Planted bugs that it caught: see the list at the property.
#include "engine/kv_manager.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <map>

namespace souffleur {
namespace {

std::vector<token_id> prompt_of(int name, int n_pages) {
  auto tokens = std::vector<token_id>(static_cast<std::size_t>(n_pages) * page_tokens, name);
  tokens.push_back(0); // begin() leaves one token to compute
  return tokens;
}

constexpr auto n_pool_pages = 40;
constexpr auto max_pinned_share = 0.5;

/// Prompts with nothing in common, each put into the cache by a sequence that ends at once.
class history {
public:
  history() {
    kv_.begin(1, "someone", std::vector<token_id>{1}); // not alone, nobody gets what is pinned
    kv_.reserve(1, 1);
  }

  void put(int name, int n_pages, const retention_wish& wish) {
    const auto prompt = prompt_of(name, n_pages);
    const auto id = next_++;
    auto& one = cached_[name];
    const auto n_found = std::min(static_cast<int>(one.size()), n_pages);
    RC_ASSERT(kv_.begin(id, "", prompt, wish) == n_found * page_tokens);
    touch(one, n_found, wish);
    const auto n_new = n_pages - n_found;
    const auto has_room = n_new <= n_free() + n_evictable(one, n_found);
    RC_ASSERT(kv_.reserve(id, n_pages * page_tokens) == has_room);
    if (has_room) {
      while (n_free() < n_new) {
        evict(one, n_found);
      }
      kv_.publish(id, std::span(prompt).first(prompt.size() - 1));
      one.resize(std::max(one.size(), static_cast<std::size_t>(n_pages)));
      touch(one, n_pages, wish);
    }
    kv_.end(id);
    compare();
  }

  void pass(double s) {
    now_s_ += s;
    kv_.tell_time(now_s_);
    for (auto& [name, one] : cached_) {
      for (auto& page : one) {
        page.granted = valid_at(page.granted, now_s_);
      }
    }
    compare();
  }

private:
  struct page {
    std::uint64_t last_used = 0;
    retention granted;
    bool ends_stretch = false;
  };
  using prefix = std::vector<page>;

  int count(const auto& which) const {
    auto n = 0;
    for (const auto& [name, one] : cached_) {
      n += static_cast<int>(std::ranges::count_if(one, which));
    }
    return n;
  }
  int n_free() const {
    return n_pool_pages - 1 - count([](const page&) { return true; });
  }
  int n_pinned() const {
    return count([](const page& one) { return one.granted.pinned(); });
  }
  int n_evictable(const prefix& in_use, int n_in_use) const {
    const auto pinned = [](const page& one) { return one.granted.pinned(); };
    return count([&](const page& one) { return !pinned(one); }) -
           static_cast<int>(n_in_use - std::count_if(in_use.begin(), in_use.begin() + n_in_use, pinned));
  }

  void touch(prefix& one, int n_pages, retention_wish wish) {
    ++clock_;
    if (n_pages > 0) {
      one[static_cast<std::size_t>(n_pages) - 1].ends_stretch = true;
    }
    const auto end = one.begin() + n_pages;
    for (auto first = one.begin(); first != end;) {
      const auto last = std::find_if(first, end, [](const page& p) { return p.ends_stretch; }) + 1;
      if (wish.priority > 0 || wish.pinned) {
        const auto granted =
            rules_.grant(first->granted, wish, static_cast<int>(last - first), n_pinned(), now_s_);
        wish.pinned = wish.pinned && granted.pinned();
        std::for_each(first, last, [&](page& p) { p.granted = granted; });
      }
      std::for_each(first, last, [&](page& p) { p.last_used = clock_; });
      first = last;
    }
  }

  void evict(const prefix& in_use, int n_in_use) {
    auto* victim = static_cast<prefix*>(nullptr);
    const auto rank = [](const prefix& one) {
      return std::pair(one.back().granted.level, one.back().last_used);
    };
    for (auto& [name, one] : cached_) {
      const auto n_kept = &one == &in_use ? static_cast<std::size_t>(n_in_use) : 0;
      if (one.size() > n_kept && (!victim || rank(one) < rank(*victim))) {
        victim = &one;
      }
    }
    RC_ASSERT(victim != nullptr);
    victim->pop_back();
  }

  void compare() {
    RC_ASSERT(kv_.check_integrity() == "");
    RC_ASSERT(n_pinned() <= rules_.max_pinned());
    for (const auto& [name, one] : cached_) {
      RC_ASSERT(kv_.peek("", prompt_of(name, 30)) == static_cast<int>(one.size()) * page_tokens);
    }
  }

  retention_policy rules_{n_pool_pages, max_pinned_share};
  kv_manager kv_{n_pool_pages, make_eviction_policy("lru"), max_pinned_share};
  std::map<int, prefix> cached_;
  std::uint64_t clock_ = 0;
  double now_s_ = 0;
  sequence_id next_ = 2;
};

// Planted: retention levels left out of the order; levels that stay when their time is up; pinned pages given
// to whoever needs some; grants that do not follow a split; evicted pages that still count as pinned; a wish
// granted to the last stretch alone; a leaf that grows in place with its pin.
RC_GTEST_PROP(KvRetention, GivesUpWhatIsWishedLessFirstAndWhatIsPinnedNever, ()) {
  auto all = history();
  const auto argument = [](int end) { return rc::gen::resize(rc::kNominalSize, rc::gen::inRange(0, end)); };
  const auto commands = *rc::gen::container<std::vector<std::tuple<int, int, int, int, int>>>(
      rc::gen::tuple(argument(6), argument(20), argument(8), argument(8), argument(4)));
  for (const auto& [name, n_pages, priority, ttl, pause] : commands) {
    const auto wish = retention_wish{
        .priority = priority < 4 ? 0 : priority * 20 - 70, .pinned = priority == 3, .ttl_s = ttl / 2.0};
    all.put(name, n_pages + 1, wish);
    all.pass(pause / 2.0);
  }
}

// Else a pool full of pins would hold up everybody for their time.
TEST(KvRetention, APinYieldsToASequenceThatIsAlone) {
  auto kv = kv_manager(10, make_eviction_policy("lru"), 0.6);
  const auto put = [&](sequence_id id, int name, int n_pages, const retention_wish& wish) {
    const auto prompt = prompt_of(name, n_pages);
    kv.begin(id, "", prompt, wish);
    const auto has_room = kv.reserve(id, n_pages * page_tokens);
    if (has_room) {
      kv.publish(id, std::span(prompt).first(prompt.size() - 1));
    }
    return has_room;
  };
  ASSERT_TRUE(put(1, 1, 6, {.priority = 0, .pinned = true, .ttl_s = 60}));
  kv.end(1);
  ASSERT_TRUE(put(2, 2, 2, {}));
  EXPECT_FALSE(put(3, 3, 4, {}));
  kv.end(2);
  kv.end(3);
  EXPECT_EQ(kv.peek("", prompt_of(1, 6)), 6 * page_tokens);
  EXPECT_TRUE(put(4, 4, 10, {}));
  EXPECT_EQ(kv.check_integrity(), "");
}

TEST(KvRetention, BeyondItsShareAPinIsTheHighestPriority) {
  auto kv = kv_manager(10, make_eviction_policy("lru"), 0.3);
  const auto put = [&](sequence_id id, int name, int n_pages, const retention_wish& wish) {
    const auto prompt = prompt_of(name, n_pages);
    kv.begin(id, "", prompt, wish);
    kv.reserve(id, n_pages * page_tokens);
    kv.publish(id, std::span(prompt).first(prompt.size() - 1));
    kv.end(id);
  };
  kv.begin(9, "someone", {});
  put(1, 1, 4, {.priority = 0, .pinned = true, .ttl_s = 60});
  put(2, 2, 3, {.priority = 99, .pinned = false, .ttl_s = 60});
  put(3, 3, 5, {});
  EXPECT_EQ(kv.peek("", prompt_of(1, 4)), 4 * page_tokens);
  EXPECT_EQ(kv.peek("", prompt_of(2, 3)), 1 * page_tokens);
  put(4, 4, 8, {});
  EXPECT_EQ(kv.peek("", prompt_of(1, 4)), 2 * page_tokens);
}

} // namespace
} // namespace souffleur
