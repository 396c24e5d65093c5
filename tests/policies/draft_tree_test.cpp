#include "policies/draft_tree.hpp"

#include <gtest/gtest.h>

using namespace souffleur;

// Planted: a first token with a parent; a branch that is taken for the next token.
TEST(DraftTree, IsAChainIfEachTokenFollowsTheOneBefore) {
  draft_tree tree;
  EXPECT_TRUE(tree.is_chain());
  tree.nodes = {{5, -1}, {6, 0}, {7, 1}};
  EXPECT_TRUE(tree.is_chain());
  EXPECT_EQ(tree.tokens(), (std::vector<token_id>{5, 6, 7}));
  tree.nodes[2].parent = 0;
  EXPECT_FALSE(tree.is_chain());
  tree.nodes = {{5, -1}, {6, -1}};
  EXPECT_FALSE(tree.is_chain());
}
