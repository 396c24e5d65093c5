#include "policies/block_verification.hpp"

#include "policies/token_rejection.hpp"
#include "tests/laws/acceptance_law.hpp"

#include <boost/json.hpp>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <fstream>
#include <sstream>

using namespace souffleur;
using namespace souffleur::testing;
namespace json = boost::json;

namespace {

/// p_i of a chain of drawn tokens.
std::vector<double> standing_probabilities(const next_law& target, const verification_tree& draft) {
  std::vector<double> stands{1};
  sequence before;
  for (int row = 1; row < draft.n_rows(); ++row) {
    const token_id token = draft.node(row).token;
    const double ratio =
        probability_of(target(before), token) / probability_of(draft.proposal(row - 1), token);
    stands.push_back(std::min(1.0, stands.back() * ratio));
    before.push_back(token);
  }
  return stands;
}

/// By beginning of the draft: the probability that it was drafted, and that it was drafted and stands.
struct beginning {
  double drafted = 0;
  double stands = 0;
};

std::map<sequence, beginning> beginnings(const acceptance_policy& policy, const next_law& target,
                                         const test_drafter& drafter) {
  std::map<sequence, beginning> all;
  for_outcomes([&](const coins& from) { return drafter.draft({}, from); },
               [&](double mass, const verification_tree& draft) {
                 for (const auto& way : policy.plan(draft, rows_of(target, draft))) {
                   sequence tokens;
                   for (int row = 1; row < draft.n_rows(); ++row) {
                     tokens.push_back(draft.node(row).token);
                     auto& here = all[tokens];
                     here.drafted += mass * way.probability;
                     here.stands += way.row >= row ? mass * way.probability : 0;
                   }
                 }
               });
  return all;
}

/// Whether a draft of positive probability has a token that the target likes less than the drafter and, after
/// it, one that the target likes more, all of them possible.
bool has_ups_after_downs(const next_law& target, const test_drafter& drafter) {
  bool found = false;
  for_outcomes([&](const coins& from) { return drafter.draft({}, from); },
               [&](double, const verification_tree& draft) {
                 bool down = false;
                 sequence before;
                 for (int row = 1; row < draft.n_rows(); ++row) {
                   const token_id token = draft.node(row).token;
                   const double p = probability_of(target(before), token);
                   const double q = probability_of(draft.proposal(row - 1), token);
                   if (p == 0) {
                     return;
                   }
                   found = found || (down && p > q + rounding);
                   down = down || p < q - rounding;
                   before.push_back(token);
                 }
               });
  return found;
}

double number_of(const json::value& fraction) {
  const std::string text{fraction.as_string()};
  const auto slash = text.find('/');
  const double above = std::stod(text);
  return slash == std::string::npos ? above : above / std::stod(text.substr(slash + 1));
}

distribution law_of_row(const json::value& row) {
  distribution law;
  for (std::size_t token = 0; token < row.as_array().size(); ++token) {
    const double p = number_of(row.as_array()[token]);
    if (p > 0) {
      law.tokens.push_back(static_cast<token_id>(token));
      law.probabilities.push_back(p);
    }
  }
  return law;
}

/// Laws by prefix, written "0,2"; those that no draft leads to are left out.
next_law model_of(const json::value& table) {
  return [&table](const sequence& prefix) {
    std::string key;
    for (const token_id token : prefix) {
      key += (key.empty() ? "" : ",") + std::to_string(token);
    }
    const auto* row = table.as_object().if_contains(key);
    return row != nullptr ? law_of_row(*row) : distribution{};
  };
}

verification_tree draft_of(const sequence& tokens, const next_law& proposal) {
  std::vector<distribution> proposals;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    proposals.push_back(proposal({tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(i)}));
  }
  return chain_of(tokens, proposals);
}

void expect_same_law(const distribution& law, const distribution& wanted) {
  ASSERT_EQ(law.tokens, wanted.tokens);
  for (std::size_t i = 0; i < law.tokens.size(); ++i) {
    EXPECT_NEAR(law.probabilities[i], wanted.probabilities[i], rounding);
  }
}

void expect_golden_row(const json::object& row, const next_law& target, const next_law& proposal) {
  const auto tokens = json::value_to<sequence>(row.at("draft"));
  const auto draft = draft_of(tokens, proposal);
  const auto plan = block_verification{}.plan(draft, rows_of(target, draft)); // the longest beginning first
  double none_longer = 1;
  for (const auto& way : plan) {
    if (way.row > 0 && none_longer > rounding) {
      const auto& h = row.at("h").as_array()[static_cast<std::size_t>(way.row) - 1];
      EXPECT_NEAR(way.probability / none_longer, number_of(h), rounding);
    }
    none_longer -= way.probability;
    const auto& next = row.at("next_dist_by_tau").as_array()[static_cast<std::size_t>(way.row)];
    if (!next.is_null()) { // else nothing is left, and the row ends no step
      expect_same_law(way.law, law_of_row(next));
    } else {
      EXPECT_EQ(way.probability, 0);
    }
  }
  for (std::size_t n = 1; n <= tokens.size(); ++n) {
    const auto begun = draft_of({tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(n)}, proposal);
    EXPECT_NEAR(block_verification{}.plan(begun, rows_of(target, begun)).front().probability,
                number_of(row.at("p_cum").as_array()[n - 1]), rounding);
  }
}

} // namespace

TEST(BlockVerification, GivesTheReferencesThresholdsAndLaws) {
  std::ifstream in{SOUFFLEUR_GOLDEN "/verify_block.json"};
  ASSERT_TRUE(in);
  std::stringstream text;
  text << in.rdbuf();
  const auto golden = json::parse(text.str());
  ASSERT_EQ(golden.as_array().size(), 10U);
  for (const auto& entry : golden.as_array()) {
    const auto& reference = entry.as_object();
    const auto target = model_of(reference.at("target"));
    const auto proposal = model_of(reference.at("draft"));
    const auto n_draft = reference.at("gamma").to_number<int>();
    for (const auto& row : reference.at("rows").as_array()) {
      expect_golden_row(row.as_object(), target, proposal);
    }
    const test_drafter drafter{3, chain_shape(n_draft), proposal};
    EXPECT_NEAR(expected_accepted(block_verification{}, target, drafter),
                number_of(reference.at("E_tau_block")), rounding);
    EXPECT_NEAR(expected_accepted(token_rejection{}, target, drafter), number_of(reference.at("E_tau_token")),
                rounding);
  }
}

RC_GTEST_PROP(BlockVerification, EndsWithAProbability, ()) {
  const double mass = any_below(1000) / 999.0;
  const double stands = any_below(1000) / 999.0;
  RC_ASSERT(ending_chance(mass, 1) == 1);
  RC_ASSERT(ending_chance(mass, stands) >= 0);
  RC_ASSERT(ending_chance(mass, stands) <= 1);
}

TEST(BlockVerification, GivesThePapersExample) {
  const next_law target = [](const sequence&) { return distribution{{0, 1}, {1.0 / 3, 2.0 / 3}}; };
  const next_law proposal = [](const sequence&) { return distribution{{0, 1}, {2.0 / 3, 1.0 / 3}}; };
  const test_drafter drafter{2, {0, 1}, proposal};
  EXPECT_NEAR(expected_accepted(token_rejection{}, target, drafter), 10.0 / 9, rounding);
  EXPECT_NEAR(expected_accepted(block_verification{}, target, drafter), 11.0 / 9, rounding);
}

RC_GTEST_PROP(BlockVerification, LetsABeginningStandWithItsProbability, ()) {
  const auto [target, drafter] = any_chain(drafting::drawn);
  const auto stands = beginnings(block_verification{}, target, drafter);
  for_outcomes([&, &drafter = drafter](const coins& from) { return drafter.draft({}, from); },
               [&, &target = target](double, const verification_tree& draft) {
                 const auto wanted = standing_probabilities(target, draft);
                 sequence tokens;
                 for (int row = 1; row < draft.n_rows(); ++row) {
                   tokens.push_back(draft.node(row).token);
                   const auto& here = stands.at(tokens);
                   RC_ASSERT(std::abs(here.stands - here.drafted * wanted[static_cast<std::size_t>(row)]) <
                             rounding);
                 }
               });
}

RC_GTEST_PROP(BlockVerification, LetsEveryBeginningStandAsOftenAsTokenRejectionAtLeast, ()) {
  const auto [target, drafter] = any_chain(drafting::drawn);
  const auto block = beginnings(block_verification{}, target, drafter);
  for (const auto& [tokens, by_token] : beginnings(token_rejection{}, target, drafter)) {
    RC_ASSERT(block.at(tokens).stands >= by_token.stands - rounding);
  }
}

RC_GTEST_PROP(BlockVerification, AcceptsMoreThanTokenRejectionIfAnUpFollowsADown, ()) {
  const auto [target, drafter] = any_chain(drafting::drawn);
  const double gain = expected_accepted(block_verification{}, target, drafter) -
                      expected_accepted(token_rejection{}, target, drafter);
  RC_ASSERT((gain > rounding) == has_ups_after_downs(target, drafter));
}

RC_GTEST_PROP(BlockVerification, IsTokenRejectionForOneToken, ()) {
  const auto [target, drafter] = any_case({0}, drafting::drawn);
  for_outcomes([&, &drafter = drafter](const coins& from) { return drafter.draft({}, from); },
               [&, &target = target](double, const verification_tree& draft) {
                 RC_ASSERT(same_law(law_of(block_verification{}.plan(draft, rows_of(target, draft))),
                                    law_of(token_rejection{}.plan(draft, rows_of(target, draft)))));
               });
}
