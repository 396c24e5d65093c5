// Mistakes that verifiers in the field have made: the law checker has to see each of them.
#include "policies/block_verification.hpp"
#include "policies/row_policy.hpp"
#include "policies/token_rejection.hpp"
#include "policies/traversal_verification.hpp"
#include "tests/laws/acceptance_law.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

using namespace souffleur;
using namespace souffleur::testing;

namespace {

constexpr int n_cases = 60;

/// In how many cases the policy has the target's law; drafts are drawn.
int n_lossless(const acceptance_policy& policy, const std::vector<int>& shape, int n_vocabulary = 3,
               int n_steps = 1) {
  int n = 0;
  for (std::uint64_t salt = 0; salt < n_cases; ++salt) {
    const test_drafter drafter{n_vocabulary, shape, random_model(n_vocabulary, 2 * salt)};
    n += follows_target(policy, random_model(n_vocabulary, 2 * salt + 1), drafter, n_steps) ? 1 : 0;
  }
  return n;
}

class mutant : public acceptance_policy {
public:
  std::string_view name() const override { return "mutant"; }
  bool lossless() const override { return true; }
  std::vector<ending> plan(const verification_tree&, const target_rows&) const override { return {}; }
};

/// Block verification with a mistake, or none.
class block_mutant final : public mutant {
public:
  enum class mistake {
    none,
    stops_at_first_failure,
    threshold_is_p,
    residual_is_the_tokens,
    coin_for_each_row
  };

  explicit block_mutant(mistake what) : what_(what) {}

  verdict decide(const verification_tree& draft, const target_rows& target,
                 const coins& from) const override {
    const int n = draft.n_rows() - 1;
    std::vector<double> thresholds;
    std::vector<distribution> laws;
    double stands = 1;
    for (int row = 0; row < n; ++row) {
      const auto p = target(row);
      const auto& q = draft.proposal(row);
      const auto rest = residual_of(stands, p, q);
      thresholds.push_back(what_ == mistake::threshold_is_p ? stands : ending_chance(rest.mass, stands));
      laws.push_back(what_ == mistake::residual_is_the_tokens ? residual_of(1, p, q).law : rest.law);
      const token_id token = draft.node(row + 1).token;
      stands = std::min(1.0, stands * probability_of(p, token) / probability_of(q, token));
    }
    thresholds.push_back(stands);
    laws.push_back(target(n));

    int last = 0;
    for (int row = 1; row <= n; ++row) {
      const double h = thresholds[static_cast<std::size_t>(row)];
      // Right: coins that belong to the step; their positions differ from those of the next step's.
      const coin which = what_ == mistake::coin_for_each_row
                             ? coin{row, rng_purpose::accept}
                             : coin{0, rng_purpose::accept, static_cast<std::uint32_t>(row)};
      if (from.pick(which, std::vector<double>{h, 1 - h}) == 0) {
        last = row;
      } else if (what_ == mistake::stops_at_first_failure) {
        break;
      }
    }
    verdict result{draft.tokens_to(last), draft.path(last)};
    result.tokens.push_back(draw(from, {last, rng_purpose::sample}, laws[static_cast<std::size_t>(last)]));
    return result;
  }

private:
  mistake what_;
};

/// Rejection of siblings with a mistake, or none.
class token_mutant final : public row_policy {
public:
  enum class mistake {
    none,
    keeps_the_law,
    keeps_the_rejected_sibling,
    residual_of_a_point_mass,
    accepts_all
  };

  explicit token_mutant(mistake what) : what_(what) {}
  std::string_view name() const override { return "mutant"; }
  bool lossless() const override { return true; }

protected:
  row_plan plan_row(const drafted_row& row) const override {
    row_plan plan;
    double none_yet = 1;
    auto left = row.target;
    auto q = row.proposal;
    for (const token_id child : row.children) {
      const double ratio = std::min(1.0, probability_of(left, child) / probability_of(q, child));
      const double stands = what_ == mistake::accepts_all ? 1 : ratio;
      plan.stands.push_back(none_yet * stands);
      none_yet *= 1 - stands;
      const auto taken = what_ == mistake::residual_of_a_point_mass ? point_mass(child) : q;
      left = what_ == mistake::keeps_the_law ? left : residual_of(1, left, taken).law;
      q = what_ == mistake::keeps_the_rejected_sibling ? q : without(q, child);
    }
    plan.stands.push_back(none_yet);
    plan.otherwise = left;
    return plan;
  }

  row_verdict decide_row(const drafted_row& row, int depth, const coins& from) const override {
    const auto plan = plan_row(row);
    const auto child = from.pick({depth, rng_purpose::accept}, plan.stands);
    return child < row.children.size()
               ? row_verdict{child, row.children[child]}
               : row_verdict{child, draw(from, {depth, rng_purpose::sample}, plan.otherwise)};
  }

private:
  mistake what_;
};

/// Goes on after a rejected last draft: the bonus token follows the correction.
class bonus_after_rejection final : public mutant {
public:
  verdict decide(const verification_tree& draft, const target_rows& target,
                 const coins& from) const override {
    const int n = draft.n_rows() - 1;
    distribution bonus;
    const auto remembered = [&](int row) {
      auto law = target(row);
      if (row == n) {
        bonus = law;
      }
      return law;
    };
    auto result = token_rejection{}.decide(draft, remembered, from);
    if (n > 0 && result.n_accepted() == n - 1) {
      result.tokens.push_back(draw(from, {n, rng_purpose::sample}, remembered(n)));
    }
    return result;
  }
};

/// Traversal verification with a mistake, or none.
class traversal_mutant final : public mutant {
public:
  enum class mistake { none, keeps_the_law, keeps_the_chance, keeps_the_rejected_sibling };

  explicit traversal_mutant(mistake what) : what_(what) {}

  std::vector<ending> plan(const verification_tree& draft, const target_rows& target) const override {
    std::vector<ending> endings;
    double none_yet = 1;
    const std::function<void(int, double)> visit = [&](int row, double stands) {
      auto p = target(row);
      auto q = draft.proposal(row);
      for (const int child : draft.children(row)) {
        const token_id token = draft.node(child).token;
        visit(child, std::min(1.0, stands * probability_of(p, token) / probability_of(q, token)));
        const auto rest = residual_of(stands, p, q);
        stands = what_ == mistake::keeps_the_chance ? stands : ending_chance(rest.mass, stands);
        p = what_ == mistake::keeps_the_law ? p : rest.law;
        q = what_ == mistake::keeps_the_rejected_sibling ? q : without(q, token);
      }
      endings.push_back({row, none_yet * stands, p});
      none_yet *= 1 - stands;
    };
    visit(0, 1);
    return endings;
  }

private:
  mistake what_;
};

using block_mistake = block_mutant::mistake;
using token_mistake = token_mutant::mistake;
using traversal_mistake = traversal_mutant::mistake;

const std::vector<int> siblings{0, 0, 0};
const std::vector<int> tree{0, 0, 1, 1, 2};

} // namespace

TEST(LawChecker, PassesThePoliciesThatTheMutantsAreMadeOf) {
  EXPECT_EQ(n_lossless(block_mutant{block_mistake::none}, chain_shape(3)), n_cases);
  EXPECT_EQ(n_lossless(block_mutant{block_mistake::none}, chain_shape(2), 3, 2), n_cases);
  EXPECT_EQ(n_lossless(token_mutant{token_mistake::none}, siblings), n_cases);
  EXPECT_EQ(n_lossless(token_mutant{token_mistake::none}, tree), n_cases);
  EXPECT_EQ(n_lossless(traversal_mutant{traversal_mistake::none}, tree), n_cases);
}

TEST(LawChecker, CatchesBlockVerificationThatStopsAtTheFirstFailure) {
  EXPECT_LT(n_lossless(block_mutant{block_mistake::stops_at_first_failure}, chain_shape(3)), n_cases / 2);
}

TEST(LawChecker, CatchesBlockVerificationThatTakesThePathsProbabilityForItsThreshold) {
  EXPECT_LT(n_lossless(block_mutant{block_mistake::threshold_is_p}, chain_shape(3)), n_cases / 2);
}

TEST(LawChecker, CatchesBlockVerificationWithTheResidualOfTokenRejection) {
  EXPECT_LT(n_lossless(block_mutant{block_mistake::residual_is_the_tokens}, chain_shape(3)), n_cases / 2);
}

TEST(LawChecker, CatchesBlockVerificationThatThrowsTheNextStepsCoins) {
  const block_mutant mutant{block_mistake::coin_for_each_row};
  EXPECT_EQ(n_lossless(mutant, chain_shape(2)), n_cases); // one step alone is right
  EXPECT_LT(n_lossless(mutant, chain_shape(2), 3, 2), n_cases * 3 / 4);
}

TEST(LawChecker, CatchesSiblingsThatAreJudgedByALawThatForgetsRejections) {
  EXPECT_LT(n_lossless(token_mutant{token_mistake::keeps_the_law}, siblings), n_cases / 10);
  EXPECT_LT(n_lossless(traversal_mutant{traversal_mistake::keeps_the_law}, tree), n_cases / 10);
  EXPECT_LT(n_lossless(traversal_mutant{traversal_mistake::keeps_the_chance}, tree), n_cases / 10);
}

TEST(LawChecker, CatchesSiblingsThatCountAsDrawnWithReplacement) {
  EXPECT_LT(n_lossless(token_mutant{token_mistake::keeps_the_rejected_sibling}, siblings, 4), n_cases / 2);
  EXPECT_LT(n_lossless(traversal_mutant{traversal_mistake::keeps_the_rejected_sibling}, tree), n_cases / 2);
}

TEST(LawChecker, CatchesADrawnTokenWithTheResidualOfAChosenOne) {
  EXPECT_LT(n_lossless(token_mutant{token_mistake::residual_of_a_point_mass}, chain_shape(2)), n_cases / 10);
}

TEST(LawChecker, CatchesABonusTokenAfterARejectedLastDraft) {
  EXPECT_LT(n_lossless(bonus_after_rejection{}, chain_shape(1)), n_cases / 4);
  EXPECT_LT(n_lossless(bonus_after_rejection{}, chain_shape(3)), n_cases / 4);
}

TEST(LawChecker, CatchesAVerifierThatAcceptsWhateverIsDrafted) {
  EXPECT_LT(n_lossless(token_mutant{token_mistake::accepts_all}, chain_shape(2)), n_cases / 10);
}

TEST(LawChecker, CatchesADrafterThatDropsWhatItDrew) {
  int n_token = 0, n_coupled = 0;
  for (std::uint64_t salt = 0; salt < n_cases; ++salt) {
    test_drafter drafter{3, chain_shape(2), random_model(3, 2 * salt)};
    drafter.wrong = test_drafter::fault::drops_what_it_drew;
    n_token += follows_target(token_rejection{}, random_model(3, 2 * salt + 1), drafter) ? 1 : 0;
    n_coupled +=
        follows_target(*make_acceptance_policy("coupled"), random_model(3, 2 * salt + 1), drafter) ? 1 : 0;
  }
  EXPECT_LT(n_token, n_cases / 2);
  EXPECT_EQ(n_coupled, n_cases);
}

TEST(LawChecker, CatchesADrafterThatDrawsWithSpentCoins) {
  int n_block = 0, n_token = 0;
  for (std::uint64_t salt = 0; salt < n_cases; ++salt) {
    test_drafter drafter{3, chain_shape(2), random_model(3, 2 * salt)};
    drafter.wrong = test_drafter::fault::draws_with_spent_coins;
    n_block += follows_target(block_verification{}, random_model(3, 2 * salt + 1), drafter, 2) ? 1 : 0;
    n_token += follows_target(token_rejection{}, random_model(3, 2 * salt + 1), drafter, 2) ? 1 : 0;
  }
  EXPECT_LT(n_block, n_cases / 2);
  EXPECT_EQ(n_token, n_cases); // which looks at no row beyond the one that it rejects
}
