// What the histories of scheduler_tier_test meet too rarely.
#include "actors/tier_traffic.hpp"
#include "engine/kv/file_tier.hpp"
#include "tests/engine/scratch_folder.hpp"

#include <gtest/gtest.h>

#include <numeric>

namespace souffleur {
namespace {

using namespace souffleur::testing;

constexpr std::size_t page_size = 64;
constexpr int n_pages = 6;

struct tier_with_a_prompt {
  tier_with_a_prompt() {
    std::iota(prompt.begin(), prompt.end(), 0);
    std::iota(pages.begin(), pages.end(), 10);
    const auto names = tier->names_of("a", to_page_keys(prompt));
    for (std::size_t i = 0; i < names.size(); ++i)
      tier->put(names[i], std::vector<std::byte>(page_size, static_cast<std::byte>(i)));
  }

  bool open(tier_traffic& traffic, int n_found_pages) const {
    return traffic.open({1, "a", prompt, pages, n_found_pages, 0});
  }

  fetched_pages answer(const page_fetch& wish) const {
    fetched_pages fetched{wish.ticket, {}};
    for (const auto& page : wish.pages)
      fetched.pages.push_back(tier->get(page));
    return fetched;
  }

  scratch_folder folder;
  std::shared_ptr<file_tier> tier = *file_tier::open({folder.path(), 1 << 20, "test", page_size});
  std::vector<token_id> prompt = std::vector<token_id>(n_pages * page_tokens + 1);
  std::vector<page_id> pages = std::vector<page_id>(n_pages + 1);
};

/// Planted bugs that it caught: what memory has counts, too; all pages of a prompt may be found.
TEST(TierTraffic, CountsWhatTheFilesHaveBehindWhatMemoryHas) {
  const tier_with_a_prompt files;
  const tier_traffic traffic{files.tier, page_size};
  const std::span<const token_id> prompt{files.prompt};
  EXPECT_EQ(traffic.n_stored_tokens("a", prompt, 0), n_pages * page_tokens);
  EXPECT_EQ(traffic.n_stored_tokens("a", prompt, 2 * page_tokens), (n_pages - 2) * page_tokens);
  EXPECT_EQ(traffic.n_stored_tokens("a", prompt, n_pages * page_tokens), 0);
  EXPECT_EQ(traffic.n_stored_tokens("a", prompt.first(n_pages * page_tokens), 0),
            (n_pages - 1) * page_tokens);
  EXPECT_EQ(traffic.n_stored_tokens("b", prompt, 0), 0);
  EXPECT_EQ(traffic.n_stored_tokens("a", {}, 0), 0);
  EXPECT_EQ(tier_traffic(nullptr, page_size).n_stored_tokens("a", prompt, 0), 0);
}

/// Planted bug that it caught: the fetch goes on as if it were the new one's.
TEST(TierTraffic, WhatWasFetchedForWhoHasLostItsPagesIsNotPutIntoItsNewOnes) {
  const tier_with_a_prompt files;
  tier_traffic traffic{files.tier, page_size};
  ASSERT_TRUE(files.open(traffic, 3));
  const auto late = traffic.next_fetch();
  ASSERT_TRUE(late);
  traffic.forget_all();
  ASSERT_TRUE(files.open(traffic, 0));
  EXPECT_FALSE(traffic.next_fetch()); // one at a time
  traffic.arrived(files.answer(*late));
  step_plan step;
  traffic.plan(step, [&](sequence_id) { return std::span{files.pages}; });
  EXPECT_TRUE(step.loads.empty());
  const auto next = traffic.next_fetch();
  ASSERT_TRUE(next);
  traffic.arrived(files.answer(*next));
  traffic.plan(step, [&](sequence_id) { return std::span{files.pages}; });
  ASSERT_EQ(step.loads.size(), static_cast<std::size_t>(n_pages));
  for (int i = 0; i < n_pages; ++i) {
    EXPECT_EQ(step.loads[static_cast<std::size_t>(i)].page, 10 + i);
    EXPECT_EQ(step.loads[static_cast<std::size_t>(i)].bytes[0], static_cast<std::byte>(i));
  }
}

} // namespace
} // namespace souffleur
