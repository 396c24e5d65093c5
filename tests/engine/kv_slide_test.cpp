// Streams that drop what is oldest, beside sequences that do not: every position that a sequence keeps lies
// where its page list says, whoever else shares pages.
//
// Planted bugs that they caught: dropped pages that the tree holds are freed; the pin goes up while shared
// pages are left, or never; sinks are not copied; a sequence that has slid publishes.
#include "engine/kv_manager.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <map>
#include <vector>

namespace souffleur {
namespace {

constexpr int n_pool = 40;
constexpr int n_sinks = page_tokens;
constexpr int n_window = 4 * page_tokens;

class histories {
public:
  explicit histories() : kv_(n_pool, make_eviction_policy("lru")), content_(n_pool) {}

  void begin(sequence_id id, int stem, int n_prompt) {
    if (kv_.live(id))
      return;
    auto& s = sequences_[id];
    s = {};
    s.stem = stem;
    s.n = kv_.begin(id, "", tokens_of(s, std::min(n_prompt, n_sinks + n_window + page_tokens) + 1));
  }

  /// Computes up to `n` positions, a page at a time as a scheduler would.
  void extend(sequence_id id, int n) {
    for (; kv_.live(id) && n > 0; --n) {
      auto& s = sequences_.at(id);
      const int due = std::max(0, s.n - n_sinks - n_window) / page_tokens * page_tokens;
      if (due > s.n_dropped) {
        if (!kv_.slide(id, n_sinks, due))
          return;
        s.n_dropped = due;
        const auto sinks = kv_.sinks(id);
        for (std::size_t i = 0; i < sinks.size(); ++i)
          content_[static_cast<std::size_t>(kv_.pages(id)[i])] = content_[static_cast<std::size_t>(sinks[i])];
      }
      if (!kv_.reserve(id, s.n + 1 - s.n_dropped))
        return;
      place(id, s.n - s.n_dropped) = token_of(s, s.n);
      ++s.n;
    }
  }

  void publish(sequence_id id) {
    if (kv_.live(id))
      kv_.publish(id, tokens_of(sequences_.at(id), sequences_.at(id).n));
  }

  void end(sequence_id id) {
    kv_.end(id);
    sequences_.erase(id);
  }

  void check() {
    RC_ASSERT(kv_.check_integrity() == "");
    const auto now = kv_.occupancy();
    RC_ASSERT(now.n_free + now.n_cached + now.n_pinned + now.n_owned == n_pool);
    for (const auto& [id, s] : sequences_) {
      RC_ASSERT(static_cast<int>(kv_.pages(id).size()) <=
                (n_sinks + n_window) / page_tokens + 1 + (s.n_dropped == 0 ? 1 : 0));
      for (int p = 0; p < s.n; ++p) {
        const bool is_dropped = p >= n_sinks && p < n_sinks + s.n_dropped;
        if (!is_dropped)
          RC_ASSERT(place(id, p < n_sinks ? p : p - s.n_dropped) == token_of(s, p));
      }
      const auto sinks = kv_.sinks(id);
      for (std::size_t i = 0; i < sinks.size(); ++i)
        RC_ASSERT(content_[static_cast<std::size_t>(sinks[i])].front() ==
                  token_of(s, static_cast<int>(i) * page_tokens));
    }
  }

  int n_pinned() const { return kv_.occupancy().n_pinned; }

  bool is_idle_after_all_end() {
    while (!sequences_.empty())
      end(sequences_.begin()->first);
    kv_.clear_cache();
    return kv_.check_integrity().empty() && kv_.occupancy().n_free == n_pool;
  }

private:
  struct text {
    int stem = 0;
    int n = 0;
    int n_dropped = 0;
  };

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

  kv_manager kv_;
  std::vector<std::vector<token_id>> content_; ///< by page
  std::map<sequence_id, text> sequences_;
};

struct command {
  int kind, id, stem, n;
};

RC_GTEST_PROP(KvSlide, EveryPositionKeptIsWhereThePagesSay, ()) {
  const auto commands = *rc::gen::container<std::vector<command>>(rc::gen::apply(
      [](int kind, int id, int stem, int n) {
        return command{kind, id, stem, n};
      },
      rc::gen::weightedElement<int>({{2, 0}, {6, 1}, {3, 2}, {1, 3}}), rc::gen::inRange(0, 4),
      rc::gen::inRange(0, 5), rc::gen::inRange(0, 150)));
  histories all;
  for (const auto& c : commands) {
    const auto id = static_cast<sequence_id>(c.id);
    if (c.kind == 0)
      all.begin(id, c.stem, c.n);
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
  histories all;
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
