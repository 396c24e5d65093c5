#include "engine/kv/radix_tree.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

namespace souffleur {
namespace {

std::vector<page_key> keys_of(const std::string& text) {
  auto keys = std::vector<page_key>(text.size());
  for (auto i = std::size_t{0}; i < text.size(); ++i) {
    keys[i].fill(text[i]);
  }
  return keys;
}

/// Publishes `text` for a sequence that ends at once; its pages count on from `first`.
void insert(radix_tree& tree, const std::string& text, page_id first) {
  auto pages = std::vector<page_id>(text.size());
  std::ranges::generate(pages, [&] { return first++; });
  auto surplus = std::vector<page_id>{};
  auto found = std::vector<page_id>{};
  auto* root = tree.pin("", {}, found);
  tree.unpin(tree.advance(root, keys_of(text), pages, surplus));
}

TEST(RadixTree, CutsTokensIntoWholePages) {
  EXPECT_EQ(to_page_keys(std::vector<token_id>(47, 3)).size(), 2U);
  EXPECT_TRUE(to_page_keys({}).empty());
}

TEST(RadixTree, FindsTheSameAfterASplit) {
  auto tree = radix_tree(nullptr);
  insert(tree, "abcd", 0);
  insert(tree, "abxy", 10);
  EXPECT_EQ(tree.n_cached(), 6);
  auto pages = std::vector<page_id>{};
  auto* pin = tree.pin("", keys_of("abcz"), pages);
  EXPECT_EQ(pages, (std::vector<page_id>{0, 1, 2}));
  EXPECT_EQ(tree.n_pinned(), 3);
  EXPECT_EQ(tree.match("", keys_of("abcd")), 4);
  EXPECT_EQ(tree.check(std::vector<const radix_tree::node*>{pin}), "");
  EXPECT_NE(tree.check({}), "");
}

// Pages past the match stay evictable: without the split the pin would hold them too.
TEST(RadixTree, EvictsTheTailBehindAPinButNeverThePin) {
  auto tree = radix_tree(nullptr);
  insert(tree, "abcd", 0);
  auto pages = std::vector<page_id>{};
  auto* pin = tree.pin("", keys_of("ab"), pages);
  auto evicted = std::vector<page_id>{};
  tree.evict(100, evicted);
  EXPECT_EQ(evicted, (std::vector<page_id>{3, 2}));
  tree.unpin(pin);
  tree.evict(100, evicted);
  EXPECT_EQ(evicted, (std::vector<page_id>{3, 2, 1, 0}));
  EXPECT_EQ(tree.check({}), "");
}

struct test_lfu : eviction_policy {
  std::string_view name() const override { return "lfu"; }
  eviction_key key(const cached_node& node) const override { return {static_cast<double>(node.hits), 0}; }
};

/// Writes down what it is told.
struct test_listener : eviction_policy {
  std::string_view name() const override { return "listener"; }
  eviction_key key(const cached_node& node) const override {
    return {static_cast<double>(node.last_used), 0};
  }
  void found(const cached_node& node, std::uint64_t now) override {
    n_found += node.n_pages;
    oldest = std::max(oldest, now - node.last_lookup);
    gaps.push_back(node.gap);
    depths.push_back(node.depth_pages);
    forks.push_back(node.forks);
  }
  bool missed(page_hash page, std::uint64_t /*now*/) override {
    missed_pages.push_back(page);
    return std::ranges::find(evicted_pages, page) != evicted_pages.end();
  }
  void evicted(const cached_node& /*node*/, page_hash page, std::uint64_t /*now*/) override {
    evicted_pages.push_back(page);
  }
  int n_found = 0;
  std::uint64_t oldest = 0;
  std::vector<page_hash> missed_pages, evicted_pages;
  std::vector<std::uint64_t> gaps, forks;
  std::vector<int> depths;
};

// Planted: a gap that counts the use itself only; a continuation that starts without one.
TEST(RadixTree, KnowsTheGapBetweenTheLastTwoUses) {
  auto policy = test_listener();
  auto tree = radix_tree(&policy);
  insert(tree, "ab", 0);
  insert(tree, "x", 10);
  auto pages = std::vector<page_id>{};
  auto surplus = std::vector<page_id>{};
  auto own = std::vector<page_id>{20};
  tree.unpin(tree.advance(tree.pin("", keys_of("ab"), pages), keys_of("c"), own, surplus));
  tree.unpin(tree.pin("", keys_of("abc"), pages));
  tree.unpin(tree.pin("", keys_of("abc"), pages));
  EXPECT_EQ(policy.gaps, (std::vector<std::uint64_t>{0, 2, 2, 1, 1}));
}

// Planted: a depth without the pages above, or not moved down by a split; a split, or a continuation, that is
// not counted; a tail that comes back counted again, or forgotten once it is evicted.
TEST(RadixTree, TellsThePolicyHowDeepANodeIsAndHowManyWaysLedOn) {
  auto policy = test_listener();
  auto tree = radix_tree(&policy);
  insert(tree, "abcde", 0);
  insert(tree, "abx", 10);
  auto pages = std::vector<page_id>{};
  const auto look_up = [&](const char* text) {
    policy.depths.clear();
    policy.forks.clear();
    tree.unpin(tree.pin("", keys_of(text), pages));
  };
  look_up("abcde");
  EXPECT_EQ(policy.depths, (std::vector<int>{5, 2}));
  EXPECT_EQ(policy.forks, (std::vector<std::uint64_t>{0, 2}));
  auto evicted = std::vector<page_id>{};
  tree.evict(2, evicted);
  ASSERT_EQ(evicted, (std::vector<page_id>{12, 4}));
  look_up("abcd");
  EXPECT_EQ(policy.depths, (std::vector<int>{4, 2}));
  EXPECT_EQ(policy.forks, (std::vector<std::uint64_t>{1, 2})) << "the way that was evicted counts";
  insert(tree, "abx", 20);
  look_up("abx");
  EXPECT_EQ(policy.depths, (std::vector<int>{3, 2}));
  EXPECT_EQ(policy.forks, (std::vector<std::uint64_t>{0, 2}));
  insert(tree, "aby", 30);
  look_up("aby");
  EXPECT_EQ(policy.forks, (std::vector<std::uint64_t>{0, 3}));
}

// Planted: hashes that start anew behind a split, or that leave out the salt; pages that were not found told
// from the end.
TEST(RadixTree, TellsThePolicyOfPagesFoundMissedAndEvicted) {
  auto policy = test_listener();
  auto tree = radix_tree(&policy);
  insert(tree, "abcde", 0);
  insert(tree, "abx", 10);
  auto pages = std::vector<page_id>{};
  tree.unpin(tree.pin("", keys_of("abx"), pages));
  EXPECT_EQ(policy.n_found, 3);
  EXPECT_EQ(policy.oldest, 1U);
  tree.evict(3, pages);
  ASSERT_EQ(policy.evicted_pages.size(), 3U);
  policy.missed_pages.clear();
  tree.unpin(tree.pin("", keys_of("abcdeyz"), pages));
  auto expected = std::vector<page_hash>(policy.evicted_pages.rbegin(), policy.evicted_pages.rend());
  ASSERT_EQ(policy.missed_pages.size(), 4U);
  policy.missed_pages.pop_back(); // y, which it never had
  EXPECT_EQ(policy.missed_pages, expected);
  policy.missed_pages.clear();
  tree.unpin(tree.pin("other", keys_of("abcde"), pages));
  EXPECT_EQ(std::ranges::count(expected, policy.missed_pages.at(0)), 0);
  EXPECT_EQ(tree.check({}), "");
}

// Planted: a head that starts with no hits (the history property is too coarse to see it).
TEST(RadixTree, SplitCopiesTheHistory) {
  auto policy = test_lfu();
  auto tree = radix_tree(&policy);
  insert(tree, "ab", 0);
  insert(tree, "x", 10);
  auto pages = std::vector<page_id>{};
  for (const auto* text : {"ab", "ab", "ab", "x", "x", "x", "x", "a", "a"}) {
    tree.unpin(tree.pin("", keys_of(text), pages));
  }
  auto evicted = std::vector<page_id>{};
  tree.evict(100, evicted);
  EXPECT_EQ(evicted, (std::vector<page_id>{1, 10, 0}));
}

TEST(RadixTree, KeepsSaltsApart) {
  auto tree = radix_tree(nullptr);
  insert(tree, "ab", 0);
  EXPECT_EQ(tree.match("other", keys_of("ab")), 0);
}

RC_GTEST_PROP(RadixTree, HoldsTheSamePathsInWhateverOrderTheyCome, ()) {
  const auto word = rc::gen::nonEmpty(rc::gen::container<std::string>(rc::gen::elementOf(std::string("ab"))));
  const auto words = *rc::gen::resize(6, rc::gen::container<std::vector<std::string>>(word));
  auto forth = radix_tree(nullptr);
  auto back = radix_tree(nullptr);
  auto first = page_id{0};
  for (auto i = std::size_t{0}; i < words.size(); ++i, first += 100) {
    insert(forth, words[i], first);
    insert(forth, words[i], first + 50);
    insert(back, words[words.size() - 1 - i], first);
  }
  RC_ASSERT(forth.n_cached() == back.n_cached());
  for (const auto& one : words) {
    RC_ASSERT(forth.match("", keys_of(one)) == static_cast<int>(one.size()));
    RC_ASSERT(back.match("", keys_of(one)) == static_cast<int>(one.size()));
  }
  RC_ASSERT(forth.check({}) == "");
}

} // namespace
} // namespace souffleur
