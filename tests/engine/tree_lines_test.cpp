#include "engine/tree_lines.hpp"

#include "policies/token.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <vector>

namespace souffleur {
namespace {

using parents = std::vector<int>;

TEST(TreeLines, AChainIsItsMainLineAndTakesNoScratchPages) {
  const tree_lines chain{parents{-1, 0, 1, 2}, 14};
  ASSERT_EQ(chain.lines().size(), 1U);
  EXPECT_EQ(chain.lines()[0].rows, (std::vector{0, 1, 2, 3}));
  EXPECT_EQ(chain.n_scratch_pages(), 0);
}

TEST(TreeLines, TheMainLineGoesDownTheFirstChildren) {
  const tree_lines tree{parents{-1, 0, 0, 2, 1}, 0};
  ASSERT_EQ(tree.lines().size(), 2U);
  EXPECT_EQ(tree.lines()[0].rows, (std::vector{0, 1, 4}));
  EXPECT_EQ(tree.lines()[1].rows, (std::vector{0, 2, 3}));
  EXPECT_EQ(tree.line_of(0), 0);
  EXPECT_EQ(tree.line_of(3), 1);
}

TEST(TreeLines, ASideLineSharesThePagesBeforeItsOwnRows) {
  const parents tree{-1, 0, 1, 1, 3}; // 0 - 1 - 2, and 1 - 3 - 4
  const tree_lines in_one_page{tree, 8};
  EXPECT_EQ(in_one_page.lines()[1].first_own_page, 0);
  EXPECT_EQ(in_one_page.n_scratch_pages(), 1);
  const tree_lines leaves_in_the_second{tree, 14}; // row 3 is at place 16
  EXPECT_EQ(leaves_in_the_second.lines()[1].first_own_page, 1);
  EXPECT_EQ(leaves_in_the_second.n_scratch_pages(), 1);
  const tree_lines ends_in_the_second{tree, 13};
  EXPECT_EQ(ends_in_the_second.lines()[1].first_own_page, 0);
  EXPECT_EQ(ends_in_the_second.n_scratch_pages(), 2);
}

parents any_tree() {
  parents tree{-1};
  const auto n_rows = *rc::gen::inRange(1, 60);
  while (static_cast<int>(tree.size()) < n_rows)
    tree.push_back(*rc::gen::inRange(*rc::gen::element(-1, static_cast<int>(tree.size()) - 2),
                                     static_cast<int>(tree.size())));
  return tree;
}

RC_GTEST_PROP(TreeLines, ARowFindsItsAncestorsInItsLineAndNobodyIsInAnothersPlace, ()) {
  const auto tree = any_tree();
  const int first_place = *rc::gen::inRange(0, 40);
  const tree_lines all{tree, first_place};
  // Whose keys and values are where: (line, page) is a page of memory, line 0 where it is shared.
  std::map<std::pair<int, int>, int> memory;
  const auto slot = [&](int line, int row) {
    const int place = first_place + all.depth(row);
    const bool is_shared = place / page_tokens < all.lines()[static_cast<std::size_t>(line)].first_own_page;
    return std::pair{is_shared ? 0 : line, place};
  };
  const auto n_lines = static_cast<int>(all.lines().size());
  for (int l = 0; l < n_lines; ++l)
    for (const int row : all.lines()[static_cast<std::size_t>(l)].rows) {
      const auto [at, is_new] = memory.insert({slot(l, row), row});
      RC_ASSERT(is_new || at->second == row);
    }
  int n_pages = 0;
  for (int l = 1; l < n_lines; ++l) {
    std::set<int> pages;
    for (const int row : all.lines()[static_cast<std::size_t>(l)].rows)
      if (slot(l, row).first == l)
        pages.insert(slot(l, row).second / page_tokens);
    RC_ASSERT(static_cast<int>(pages.size()) == all.lines()[static_cast<std::size_t>(l)].n_own_pages);
    n_pages += static_cast<int>(pages.size());
  }
  RC_ASSERT(n_pages == all.n_scratch_pages());
  for (int row = 0; row < static_cast<int>(tree.size()); ++row)
    for (int ancestor = row; ancestor >= 0; ancestor = tree[static_cast<std::size_t>(ancestor)])
      RC_ASSERT(memory.at(slot(all.line_of(row), ancestor)) == ancestor);
}

} // namespace
} // namespace souffleur
