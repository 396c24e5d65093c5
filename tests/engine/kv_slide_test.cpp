// Streams that drop what is oldest, beside sequences that do not: every position that a sequence keeps lies
// where its page list says, whoever else shares pages, and no page that nobody reads keeps anybody waiting.
//
// Planted bugs that they caught: dropped pages that the tree holds are freed; the pin goes up while shared
// pages are left, or never; sinks are not copied; a sequence that has slid publishes. Of gaps in the tree:
// none are left; pages go that others read, that are sinks, or that are pinned by a wish; a match, a
// borrowing or a publication does not mind the gap; it is not filled, or a part of it fills it all; it
// outlives what is behind it; more goes than is needed, or the front first; a borrowed page holds what its
// stream has dropped.
#include "engine/kv_manager.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <vector>

namespace souffleur {
namespace {

constexpr int n_sinks = page_tokens;
constexpr int n_window = 4 * page_tokens;
constexpr int n_unlimited = 12 * page_tokens; ///< of those that do not slide

class histories {
public:
  explicit histories(int n_pool)
      : n_pool_(n_pool), kv_(n_pool, make_eviction_policy("lru")),
        content_(static_cast<std::size_t>(n_pool)) {}

  void begin(sequence_id id, int stem, int n_prompt, int n_sink_pages = 1, bool slides = true) {
    if (kv_.live(id))
      return;
    auto& s = sequences_[id];
    s = {};
    s.stem = stem;
    s.n_sinks = n_sink_pages * page_tokens;
    s.slides = slides;
    const int n_most = slides ? s.n_sinks + n_window + page_tokens : n_unlimited;
    const auto prompt = tokens_of(s, std::min(n_prompt, n_most) + 1);
    const int n_promised = kv_.peek("", prompt);
    s.n = s.n_found = kv_.begin(id, "", prompt);
    RC_ASSERT(s.n == n_promised);
    const auto partial = kv_.borrow(id, prompt);
    s.borrowed = partial.page;
    for (int i = 0; i < partial.n_tokens; ++i)
      RC_ASSERT(content_.at(static_cast<std::size_t>(partial.page))[static_cast<std::size_t>(i)] ==
                token_of(s, s.n + i));
  }

  /// Computes up to `n` positions, as many at once as have the same in sight.
  void extend(sequence_id id, int n) {
    while (kv_.live(id) && n > 0) {
      auto& s = sequences_.at(id);
      if (!slide(id, s))
        return;
      const int n_more = std::min(n, s.n_left_in_view());
      const int n_pages = static_cast<int>(kv_.pages(id).size());
      const int n_missing = pages_for(s.n + n_more - s.n_dropped) - n_pages;
      if (!kv_.reserve(id, s.n + n_more - s.n_dropped)) {
        RC_ASSERT(n_read() + n_missing > n_pool_);
        return;
      }
      if (n_more == 0)
        return;
      n -= n_more;
      for (const int end = s.n + n_more; s.n < end; ++s.n)
        place(id, s.n - s.n_dropped) = token_of(s, s.n);
    }
  }

  void publish(sequence_id id) {
    if (!kv_.live(id))
      return;
    auto& s = sequences_.at(id);
    kv_.publish(id, tokens_of(s, s.n));
    if (s.n_dropped == 0 && s.n >= s.n_found + page_tokens)
      s.borrowed = -1;
  }

  void end(sequence_id id) {
    kv_.end(id);
    sequences_.erase(id);
  }

  void check() {
    RC_ASSERT(kv_.check_integrity() == "");
    const auto now = kv_.occupancy();
    RC_ASSERT(now.n_free + now.n_cached + now.n_pinned + now.n_owned == n_pool_);
    for (const auto& [id, s] : sequences_) {
      RC_ASSERT(!s.slides || static_cast<int>(kv_.pages(id).size()) <=
                                 (s.n_sinks + n_window) / page_tokens + 1 + (s.n_dropped == 0 ? 1 : 0));
      for (int p = 0; p < s.n; ++p) {
        const bool is_dropped = p >= s.n_sinks && p < s.n_sinks + s.n_dropped;
        if (!is_dropped)
          RC_ASSERT(place(id, p < s.n_sinks ? p : p - s.n_dropped) == token_of(s, p));
      }
      const auto sinks = kv_.sinks(id);
      for (std::size_t i = 0; i < sinks.size(); ++i)
        RC_ASSERT(content_[static_cast<std::size_t>(sinks[i])].front() ==
                  token_of(s, static_cast<int>(i) * page_tokens));
    }
  }

  int n_tokens(sequence_id id) const { return sequences_.at(id).n; }
  int n_pinned() const { return kv_.occupancy().n_pinned; }

  bool is_idle_after_all_end() {
    while (!sequences_.empty())
      end(sequences_.begin()->first);
    kv_.clear_cache();
    return kv_.check_integrity().empty() && kv_.occupancy().n_free == n_pool_;
  }

private:
  struct text {
    int stem = 0;
    int n = 0;
    int n_dropped = 0;
    int n_found = 0;
    int n_sinks = 0;
    bool slides = false;
    page_id borrowed = -1;

    int n_due() const { return slides ? std::max(0, n - n_sinks - n_window) / page_tokens * page_tokens : 0; }
    int n_left_in_view() const {
      return (slides ? n_sinks + n_window + n_dropped + page_tokens : n_unlimited) - n;
    }
  };

  /// False if there are no pages for the sinks' copies.
  bool slide(sequence_id id, text& s) {
    if (s.n_due() == s.n_dropped)
      return true;
    if (!kv_.slide(id, s.n_sinks, s.n_due())) {
      RC_ASSERT(s.n_dropped == 0 && n_read() + s.n_sinks / page_tokens > n_pool_);
      return false;
    }
    s.n_dropped = s.n_due();
    s.borrowed = -1;
    const auto sinks = kv_.sinks(id);
    for (std::size_t i = 0; i < sinks.size(); ++i)
      content_[static_cast<std::size_t>(kv_.pages(id)[i])] = content_[static_cast<std::size_t>(sinks[i])];
    return true;
  }

  /// Texts share their first pages: those of stem s differ from the others' at page 2 s.
  static token_id token_of(const text& s, int p) {
    return p / page_tokens >= 2 * s.stem ? 100000 * (s.stem + 1) + p : p;
  }
  static std::vector<token_id> tokens_of(const text& s, int n) {
    std::vector<token_id> tokens;
    for (int p = 0; p < n; ++p)
      tokens.push_back(token_of(s, p));
    return tokens;
  }
  token_id& place(sequence_id id, int at) {
    const auto page = kv_.pages(id)[static_cast<std::size_t>(at / page_tokens)];
    auto& content = content_[static_cast<std::size_t>(page)];
    content.resize(page_tokens);
    return content[static_cast<std::size_t>(at % page_tokens)];
  }

  /// Pages that some sequence has yet to read.
  int n_read() const {
    std::set<page_id> read;
    for (const auto& [id, s] : sequences_) {
      read.insert(kv_.pages(id).begin(), kv_.pages(id).end());
      read.insert(kv_.sinks(id).begin(), kv_.sinks(id).end());
      if (s.borrowed >= 0)
        read.insert(s.borrowed);
    }
    return static_cast<int>(read.size());
  }

  int n_pool_;
  kv_manager kv_;
  std::vector<std::vector<token_id>> content_; ///< by page
  std::map<sequence_id, text> sequences_;
};

struct command {
  int kind, id, stem, n;
};

RC_GTEST_PROP(KvSlide, EveryPositionKeptIsWhereThePagesSay, ()) {
  const auto argument = [](int end) { return rc::gen::resize(rc::kNominalSize, rc::gen::inRange(0, end)); };
  const auto commands = *rc::gen::container<std::vector<command>>(
      200, rc::gen::apply(
               [](int kind, int id, int stem, int n) {
                 return command{kind, id, stem, n};
               },
               rc::gen::weightedElement<int>({{4, 0}, {8, 1}, {5, 2}, {2, 3}}), argument(5), argument(3),
               argument(150)));
  histories all(1 + *argument(36));
  for (const auto& c : commands) {
    const auto id = static_cast<sequence_id>(c.id);
    if (c.kind == 0)
      all.begin(id, c.stem, c.n, 1 + c.n % 2, c.id != 4);
    else if (c.kind == 1)
      all.extend(id, c.n);
    else if (c.kind == 2)
      all.publish(id);
    else
      all.end(id);
    all.check();
  }
  RC_ASSERT(all.is_idle_after_all_end());
}

TEST(KvSlide, AStreamHoldsAsMuchAtTheEndAsAtTheStart) {
  histories all(40);
  all.begin(1, 0, 10);
  all.extend(1, 80);
  all.publish(1);
  EXPECT_EQ(all.n_pinned(), 5);
  all.extend(1, 300);
  EXPECT_EQ(all.n_pinned(), n_sinks / page_tokens);
  for (int i = 0; i < 100; ++i) {
    all.extend(1, 100);
    all.publish(1);
  }
  all.check();
}

TEST(KvSlide, AWindowMayBeAsLargeAsThePoolButForTheSinks) {
  const int n_window_pages = n_window / page_tokens;
  const int n_sink_pages = n_sinks / page_tokens;
  histories all(2 * n_sink_pages + n_window_pages + 1);
  all.begin(1, 0, 10);
  for (int i = 0; i < 30; ++i) {
    all.publish(1);
    all.extend(1, 10);
    all.check();
  }
  EXPECT_EQ(all.n_tokens(1), 300);
}

namespace {

constexpr int n_published_text = n_sinks + n_window;

/// Sequence 1: n_published_text tokens of text 0 that others may find, and three pages more, for which it has
/// dropped as many.
void stream_beyond_what_is_published(histories& all) {
  all.begin(1, 0, 10);
  all.extend(1, n_published_text);
  all.publish(1);
  all.extend(1, 3 * page_tokens);
}

} // namespace

TEST(KvSlide, ATextIsFoundUpToWhereAStreamGaveAPageAwayUntilThatIsPublishedAgain) {
  histories all(12);
  stream_beyond_what_is_published(all);
  all.begin(2, 0, n_published_text);
  EXPECT_EQ(all.n_tokens(2), n_published_text) << "as long as there are other pages";
  all.end(2);
  all.begin(2, 1, 10);
  all.extend(2, 5 * page_tokens);
  EXPECT_EQ(all.n_tokens(2), 5 * page_tokens) << "two of the pages were another's";
  all.begin(3, 0, n_published_text);
  EXPECT_EQ(all.n_tokens(3), n_sinks);
  all.check();
  all.end(2);
  for (const int n_published : {2, 3}) {
    all.extend(3, page_tokens);
    all.publish(3);
    all.check();
    all.begin(2, 0, n_published_text);
    EXPECT_EQ(all.n_tokens(2), n_published == 2 ? 2 * page_tokens : n_published_text);
    all.check();
    all.end(2);
  }
  EXPECT_TRUE(all.is_idle_after_all_end());
}

TEST(KvSlide, AStreamGivesAwayNoMoreThanIsNeededAndTheLastFirst) {
  histories all(12);
  stream_beyond_what_is_published(all);
  all.begin(2, 1, 10);
  all.extend(2, 4 * page_tokens);
  all.begin(3, 0, n_published_text);
  EXPECT_EQ(all.n_tokens(3), n_sinks + page_tokens);
  all.check();
}

TEST(KvSlide, OfWhatTwoStreamsShareOnlyWhatBothHaveDroppedIsGivenAway) {
  const int n_text = n_sinks + n_window + page_tokens;
  for (const auto& [ahead, behind] : {std::pair{1U, 2U}, std::pair{2U, 1U}}) {
    histories all(18);
    all.begin(ahead, 0, 10);
    all.extend(ahead, n_text);
    all.publish(ahead);
    all.begin(behind, 0, n_text, 2);
    EXPECT_EQ(all.n_tokens(behind), n_text);
    all.extend(ahead, 3 * page_tokens);
    all.extend(behind, 2 * page_tokens);
    EXPECT_EQ(all.n_tokens(behind), n_text + 2 * page_tokens);
    all.begin(3, 1, 10, 0, false);
    all.extend(3, 6 * page_tokens);
    EXPECT_EQ(all.n_tokens(3), 0) << "there are four, and one that both have dropped";
    all.extend(3, 5 * page_tokens);
    EXPECT_EQ(all.n_tokens(3), 5 * page_tokens);
    all.check();
    EXPECT_EQ(all.n_pinned(), n_text / page_tokens - 1);
  }
}

TEST(KvSlide, WhatARequestHasPinnedIsGivenAwayForNobodyElse) {
  constexpr int n_pages = n_window / page_tokens + 4;
  kv_manager kv{n_pages, make_eviction_policy("lru"), 0.9};
  const std::vector<token_id> text(n_sinks + n_window, 7);
  kv.begin(1, "", text, {.pinned = true, .ttl_s = 100});
  ASSERT_TRUE(kv.reserve(1, static_cast<int>(text.size())));
  kv.publish(1, text);
  ASSERT_TRUE(kv.slide(1, n_sinks, 2 * page_tokens));
  kv.begin(2, "", std::vector<token_id>{1, 2, 3});
  EXPECT_TRUE(kv.reserve(2, 2 * page_tokens));
  EXPECT_FALSE(kv.reserve(2, 3 * page_tokens));
  kv.end(2);
  EXPECT_TRUE(kv.reserve(1, n_sinks + n_window)) << "alone, it has what is free";
  EXPECT_TRUE(kv.reserve(1, n_sinks + n_window + 2 * page_tokens)) << "and what it has dropped";
  EXPECT_EQ(kv.check_integrity(), "");
  kv.end(1);
  kv.clear_cache();
  EXPECT_EQ(kv.check_integrity(), "");
  EXPECT_EQ(kv.occupancy().n_free, n_pages);
}

TEST(KvSlide, RefusesWhatCannotBe) {
  kv_manager kv{4, make_eviction_policy("lru")};
  EXPECT_FALSE(kv.slide(1, 16, 16));
  kv.begin(1, "", std::vector<token_id>{1, 2, 3});
  ASSERT_TRUE(kv.reserve(1, 4 * page_tokens));
  EXPECT_FALSE(kv.slide(1, 4 * page_tokens, page_tokens)) << "more than it has";
  EXPECT_FALSE(kv.slide(1, page_tokens, page_tokens)) << "no page for the sinks' copy";
  EXPECT_EQ(kv.check_integrity(), "");
  kv.truncate(1, 3 * page_tokens);
  EXPECT_TRUE(kv.slide(1, page_tokens, page_tokens));
  EXPECT_EQ(kv.pages(1).size(), 2U);
  EXPECT_FALSE(kv.slide(1, page_tokens, 0)) << "what is gone is gone";
  EXPECT_EQ(kv.check_integrity(), "");
}

} // namespace
} // namespace souffleur
