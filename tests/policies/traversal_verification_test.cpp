#include "policies/traversal_verification.hpp"

#include "policies/block_verification.hpp"
#include "policies/token_rejection.hpp"
#include "tests/laws/acceptance_law.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

using namespace souffleur;
using namespace souffleur::testing;

namespace {

struct comparison {
  int n_more = 0;
  int n_less = 0;
};

/// In how many of 50 cases more or fewer tokens of a tree are accepted.
comparison compare_with_token_rejection(const std::vector<int>& shape) {
  comparison result;
  for (std::uint64_t salt = 0; salt < 50; ++salt) {
    const test_drafter drafter{3, shape, random_model(3, 2 * salt)};
    const auto target = random_model(3, 2 * salt + 1);
    const double gain = expected_accepted(traversal_verification{}, target, drafter) -
                        expected_accepted(token_rejection{}, target, drafter);
    result.n_more += gain > rounding ? 1 : 0;
    result.n_less += gain < -rounding ? 1 : 0;
  }
  return result;
}

} // namespace

RC_GTEST_PROP(TraversalVerification, IsBlockVerificationOnAChain, ()) {
  const auto [target, drafter] = any_chain(*rc::gen::element(drafting::chosen, drafting::drawn));
  for_outcomes([&, &drafter = drafter](const coins& from) { return drafter.draft({}, from); },
               [&, &target = target](double, const verification_tree& draft) {
                 RC_ASSERT(same_law(law_of(traversal_verification{}.plan(draft, rows_of(target, draft))),
                                    law_of(block_verification{}.plan(draft, rows_of(target, draft)))));
               });
}

RC_GTEST_PROP(TraversalVerification, AcceptsAsMuchOfTwoLevelsAsRejectionFromTheRootOnAtLeast, ()) {
  const auto [target, drafter] = any_tree(drafting::drawn);
  RC_PRE(drafter.depth() <= 2);
  RC_ASSERT(expected_accepted(traversal_verification{}, target, drafter) >=
            expected_accepted(token_rejection{}, target, drafter) - rounding);
}

TEST(TraversalVerification, AcceptsMoreOfMostTreesOfTwoLevels) {
  EXPECT_GT(compare_with_token_rejection({0, 0, 1, 2}).n_more, 25);
}

TEST(TraversalVerification, AcceptsLessOfSomeDeeperTreesWhereALeafComesFirst) {
  EXPECT_GT(compare_with_token_rejection({0, 1, 1, 3}).n_less, 0);
}

RC_GTEST_PROP(TraversalVerification, AcceptsMoreOfATreeThanOfItsFirstBranch, ()) {
  const auto [target, drafter] = any_tree(drafting::drawn);
  RC_ASSERT(expected_accepted(traversal_verification{}, target, drafter) >=
            expected_accepted(block_verification{}, target, drafter) - rounding);
}
