#include "policies/acceptance_policy.hpp"
#include "tests/laws/acceptance_law.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

using namespace souffleur;
using namespace souffleur::testing;

namespace {

const std::vector<std::string> lossless{"coupled", "gumbel", "token", "block", "traversal"};
const std::vector<std::string> all{"greedy", "coupled", "gumbel", "token", "block", "traversal", "typical"};

bool is_chain(const verification_tree& draft) {
  return draft.path(draft.n_rows() - 1).size() == static_cast<std::size_t>(draft.n_rows());
}

} // namespace

TEST(AcceptancePolicy, IsMadeByNameOnly) {
  for (const auto& name : all) {
    ASSERT_NE(make_acceptance_policy(name), nullptr);
    EXPECT_EQ(make_acceptance_policy(name)->name(), name);
    const bool claimed = std::find(lossless.begin(), lossless.end(), name) != lossless.end();
    EXPECT_EQ(make_acceptance_policy(name)->lossless(), claimed) << name;
  }
  EXPECT_EQ(make_acceptance_policy("Coupled"), nullptr);
}

RC_GTEST_PROP(LosslessPolicy, EmitsTheTargetsLawWhateverIsDrafted, ()) {
  const auto [target, drafter] = any_draft_case();
  for (const auto& name : lossless) {
    RC_LOG() << name << '\n';
    RC_ASSERT(follows_target(*make_acceptance_policy(name), target, drafter));
  }
}

RC_GTEST_PROP(LosslessPolicy, EmitsTheTargetsLawOverTwoSteps, ()) {
  const auto shape =
      *rc::gen::element(chain_shape(1), chain_shape(2), std::vector<int>{0, 0}, std::vector<int>{0, 0, 1});
  const auto [target, drafter] = any_case(shape, *rc::gen::element(drafting::chosen, drafting::drawn), 2);
  for (const auto& name : lossless) {
    RC_LOG() << name << '\n';
    RC_ASSERT(follows_target(*make_acceptance_policy(name), target, drafter, 2));
  }
}

RC_GTEST_PROP(AcceptancePolicy, DecidesWithTheLawOfThePlan, ()) {
  const auto [target, drafter] = any_draft_case();
  const auto draft = any_draft(drafter);
  for (const auto& name : all) {
    const auto policy = make_acceptance_policy(name);
    ending_law decided;
    for_outcomes([&, &target = target](
                     const coins& from) { return policy->decide(draft, rows_of(target, draft), from); },
                 [&](double mass, const verdict& result) {
                   decided[{result.rows.back(), result.tokens.back()}] += mass;
                 });
    RC_LOG() << name << '\n';
    RC_ASSERT(same_law(decided, law_of(policy->plan(draft, rows_of(target, draft)))));
  }
}

RC_GTEST_PROP(AcceptancePolicy, EmitsAPathOfTheDraftAndOneTokenMore, ()) {
  const auto [target, drafter] = any_draft_case();
  const auto draft = any_draft(drafter);
  for (const auto& name : all) {
    for_outcomes(
        [&, &target = target](const coins& from) {
          return make_acceptance_policy(name)->decide(draft, rows_of(target, draft), from);
        },
        [&](double, const verdict& result) {
          RC_ASSERT(result.rows == draft.path(result.rows.back()));
          RC_ASSERT(result.tokens.size() == result.rows.size());
          RC_ASSERT(result.n_accepted() == static_cast<int>(result.rows.size()) - 1);
          const auto accepted = draft.tokens_to(result.rows.back());
          RC_ASSERT(std::equal(accepted.begin(), accepted.end(), result.tokens.begin()));
        });
  }
}

RC_GTEST_PROP(AcceptancePolicy, PlansProbabilitiesThatSumToOne, ()) {
  const auto [target, drafter] = any_draft_case();
  const auto draft = any_draft(drafter);
  for (const auto& name : all) {
    RC_LOG() << name << '\n';
    double sum = 0;
    for (const auto& way : make_acceptance_policy(name)->plan(draft, rows_of(target, draft))) {
      RC_ASSERT(way.probability >= 0);
      RC_ASSERT(way.probability <= 1 + rounding);
      sum += way.probability;
      double law_sum = 0;
      for (const double p : way.law.probabilities) {
        RC_ASSERT(p > 0);
        law_sum += p;
      }
      RC_ASSERT(std::abs(law_sum - 1) < rounding);
      RC_ASSERT(std::is_sorted(way.law.tokens.begin(), way.law.tokens.end(), std::less_equal<>()));
    }
    RC_ASSERT(std::abs(sum - 1) < rounding);
  }
}

RC_GTEST_PROP(AcceptancePolicy, IsGreedyWhereTheTargetIsCertain, ()) {
  auto [target, drafter] = any_draft_case();
  target = certain_model(drafter.n_vocabulary, drafter.salt + 1);
  const auto draft = any_draft(drafter);
  const auto wanted = law_of(make_acceptance_policy("greedy")->plan(draft, rows_of(target, draft)));
  for (const auto& name : all) {
    // Of a tree, "block" looks at one branch, and of equal siblings "typical" takes the better one.
    if (is_chain(draft) || (name != "block" && name != "typical")) {
      RC_LOG() << name << '\n';
      RC_ASSERT(same_law(wanted, law_of(make_acceptance_policy(name)->plan(draft, rows_of(target, draft)))));
    }
  }
}

RC_GTEST_PROP(LosslessPolicy, IsCoupledWhereTheDraftIsChosenWithoutACoin, ()) {
  const auto [target, drafter] = any_below(2) == 0 ? any_chain(drafting::chosen) : any_tree(drafting::chosen);
  const auto draft = any_draft(drafter);
  const auto wanted = law_of(make_acceptance_policy("coupled")->plan(draft, rows_of(target, draft)));
  for (const auto& name : lossless) {
    if (is_chain(draft) || name != "block") {
      RC_LOG() << name << '\n';
      RC_ASSERT(same_law(wanted, law_of(make_acceptance_policy(name)->plan(draft, rows_of(target, draft)))));
    }
  }
}

RC_GTEST_PROP(RejectionSampling, AcceptsTheFirstBranchOfADrafterThatIsLikeTheTarget, ()) {
  auto [target, drafter] = any_below(2) == 0 ? any_chain(drafting::drawn) : any_tree(drafting::drawn);
  drafter.proposal = target;
  const auto draft = any_draft(drafter);
  int leaf = 0;
  while (!draft.children(leaf).empty()) {
    leaf = draft.children(leaf).front();
  }
  for (const char* name : {"token", "block", "traversal"}) {
    double ends_in_leaf = 0;
    for (const auto& way : make_acceptance_policy(name)->plan(draft, rows_of(target, draft))) {
      ends_in_leaf += way.row == leaf ? way.probability : 0;
    }
    RC_ASSERT(std::abs(ends_in_leaf - 1) < rounding);
  }
}
