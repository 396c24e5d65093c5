// The replay against a naive cache of single pages, and the bound against every strategy.
#include "examples/cache_simulator/replay.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <map>
#include <sstream>

namespace souffleur::cache_simulator {
namespace {

using path = std::vector<std::int32_t>;

bool starts_with(const path& whole, const path& head) {
  return head.size() <= whole.size() && std::equal(head.begin(), head.end(), whole.begin());
}

/// LRU by whole scans: the tail of the prefix that was used longest ago goes first.
std::int64_t naive_lru_hits(const trace& what, std::size_t n_pages) {
  auto used = std::map<path, int>{};
  auto n_hits = std::int64_t{0};
  auto now = 0;
  const auto prefix = [](const request& one, std::size_t n) {
    return path(one.pages.begin(), one.pages.begin() + static_cast<std::ptrdiff_t>(n));
  };
  for (const auto& one : what.requests) {
    ++now;
    auto n_found = std::size_t{0};
    while (n_found < static_cast<std::size_t>(one.n_prompt_pages) &&
           used.contains(prefix(one, n_found + 1))) {
      used[prefix(one, ++n_found)] = now;
    }
    n_hits += static_cast<std::int64_t>(n_found);
    if (one.pages.size() > n_pages) {
      continue;
    }
    // Room is made for all that was not found, before the answer is known to be there already.
    while (used.size() + one.pages.size() - n_found > n_pages) {
      auto victim = used.end();
      for (auto at = used.begin(); at != used.end(); ++at) {
        const auto better = victim == used.end() || at->second < victim->second ||
                            (at->second == victim->second && starts_with(at->first, victim->first));
        victim = better && !starts_with(prefix(one, n_found), at->first) ? at : victim;
      }
      used.erase(victim);
    }
    for (auto n = one.pages.size(); n > 0; --n) {
      used[prefix(one, n)] = now;
    }
  }
  return n_hits;
}

trace any_trace() {
  const auto name = rc::gen::inRange<std::int32_t>(0, 3);
  auto made = trace{.name = "any", .requests = {}};
  auto next = std::int32_t{100}; // answers are never the same
  for (const auto& prompt : *rc::gen::container<std::vector<path>>(rc::gen::container<path>(name))) {
    auto one = request{.pages = prompt, .n_prompt_pages = static_cast<int>(prompt.size())};
    one.pages.push_back(next++);
    made.requests.push_back(one);
  }
  return made;
}

} // namespace

// Planted: a replay that forgets the answer.
RC_GTEST_PROP(CacheSimulator, ReplaysLruAsANaiveCacheDoes, ()) {
  const auto what = any_trace();
  const auto n_pages = *rc::gen::inRange(1, 60);
  RC_ASSERT(replay(what, "lru", n_pages).n_hit_pages ==
            naive_lru_hits(what, static_cast<std::size_t>(n_pages)));
}

// Planted: a bound that drops the nearest next use.
RC_GTEST_PROP(CacheSimulator, FindsNoStrategyAboveBelady, ()) {
  const auto what = any_trace();
  const auto n_pages = *rc::gen::inRange(1, 60);
  const auto bound = replay_belady(what, n_pages).n_hit_pages;
  for (const char* strategy : {"lru", "lfu", "fifo", "slru", "gdsf"}) {
    RC_ASSERT(replay(what, strategy, n_pages).n_hit_pages <= bound);
  }
}

TEST(CacheSimulator, MakesTheSameTraceFromTheSameSeed) {
  for (const auto& model : trace_models()) {
    const auto one = make_trace(model, 50, 3);
    const auto other = make_trace(model, 50, 3);
    ASSERT_EQ(one.requests.size(), 50U);
    for (auto i = std::size_t{0}; i < 50; ++i) {
      EXPECT_EQ(one.requests[i].pages, other.requests[i].pages);
    }
  }
}

TEST(CacheSimulator, ReadsMooncakeLines) {
  auto in = std::istringstream(
      "{\"timestamp\": 0, \"input_length\": 900, \"output_length\": 5, \"hash_ids\": [7, 9]}\n\n"
      "{\"timestamp\": 3.5, \"input_length\": 500, \"output_length\": 5, \"hash_ids\": [7]}\n");
  const auto read = read_mooncake(in, "some.jsonl");
  ASSERT_TRUE(read.ok());
  ASSERT_EQ(read->requests.size(), 2U);
  EXPECT_EQ(read->requests[0].pages, (path{0, 1}));
  EXPECT_EQ(read->requests[1].pages, (path{0}));
}

TEST(CacheSimulator, NamesTheFileAndTheLineThatIsWrong) {
  const auto good =
      std::string("{\"timestamp\": 0, \"input_length\": 1, \"output_length\": 5, \"hash_ids\": []}\n");
  for (const char* bad :
       {"{", "3", "{}", "{\"timestamp\": 0, \"input_length\": 1, \"output_length\": -1}",
        "{\"timestamp\": 0, \"input_length\": 1, \"output_length\": 1}",
        "{\"timestamp\": 0, \"input_length\": 1, \"output_length\": 1, \"hash_ids\": [1.5]}"}) {
    auto in = std::istringstream(good + bad);
    const auto read = read_mooncake(in, "some.jsonl");
    ASSERT_FALSE(read.ok()) << bad;
    EXPECT_TRUE(read.error().starts_with("some.jsonl:2: ")) << read.error();
  }
  auto empty = std::istringstream("");
  EXPECT_EQ(read_mooncake(empty, "some.jsonl").error(), "some.jsonl: no requests");
}

} // namespace souffleur::cache_simulator
