#include "policies/verification_tree.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

using namespace souffleur;

namespace {

verification_tree any_tree() {
  verification_tree tree;
  const int n = *rc::gen::inRange(0, 12);
  for (int row = 0; row < n; ++row) {
    tree.nodes.push_back({*rc::gen::inRange<token_id>(0, 9), *rc::gen::inRange(0, row + 1)});
  }
  return tree;
}

} // namespace

RC_GTEST_PROP(VerificationTree, HasEveryNodeAmongItsParentsChildrenInOrder, ()) {
  const auto tree = any_tree();
  int n_children = 0;
  for (int row = 0; row < tree.n_rows(); ++row) {
    const auto children = tree.children(row);
    RC_ASSERT(std::is_sorted(children.begin(), children.end(), std::less_equal<>()));
    for (const int child : children) {
      RC_ASSERT(tree.node(child).parent == row);
    }
    n_children += static_cast<int>(children.size());
  }
  RC_ASSERT(n_children == tree.n_rows() - 1);
}

RC_GTEST_PROP(VerificationTree, ContinuesAParentsPath, ()) {
  const auto tree = any_tree();
  RC_ASSERT(tree.path(0) == std::vector<int>{0});
  for (int row = 1; row < tree.n_rows(); ++row) {
    auto path = tree.path(tree.node(row).parent);
    path.push_back(row);
    RC_ASSERT(tree.path(row) == path);
    RC_ASSERT(tree.tokens_of({&row, 1}) == std::vector<token_id>{tree.node(row).token});
  }
}

TEST(VerificationTree, IsAChainOfTokensInOrder) {
  const auto chain = chain_of(std::vector<token_id>{7, 8, 7}, {point_mass(7)});
  ASSERT_EQ(chain.n_rows(), 4);
  EXPECT_EQ(chain.path(3), (std::vector<int>{0, 1, 2, 3}));
  EXPECT_EQ(chain.tokens_of(std::vector<int>{1, 2, 3}), (std::vector<token_id>{7, 8, 7}));
  EXPECT_EQ(chain.proposal(0).tokens, std::vector<token_id>{7});
  EXPECT_TRUE(chain.proposal(1).tokens.empty());
}

TEST(SiblingLaws, LeaveOutTheSiblingsBeforeAndTakeAStrangerForChosen) {
  sibling_laws laws{{{1, 2, 3}, {0.5, 0.25, 0.25}}};
  EXPECT_EQ(laws.next(1).tokens, (std::vector<token_id>{1, 2, 3}));
  const auto second = laws.next(3);
  EXPECT_EQ(second.tokens, (std::vector<token_id>{2, 3}));
  EXPECT_EQ(second.probabilities, (std::vector<double>{0.5, 0.5}));
  EXPECT_EQ(laws.next(9).tokens, std::vector<token_id>{9});
  EXPECT_EQ(laws.next(2).probabilities, std::vector<double>{1});
  EXPECT_EQ(laws.next(2).tokens, std::vector<token_id>{2}); // nothing is left: chosen
}
