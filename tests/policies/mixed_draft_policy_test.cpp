#include "policies/mixed_draft_policy.hpp"

#include "tests/policies/drafted_chain.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <numeric>
#include <string>
#include <vector>

using namespace souffleur;
using souffleur::testing::drafted_chain;
using souffleur::testing::emitted_where;

namespace {

const known_costs flat_then_steep{{{1, 100}, {2, 105}, {4, 115}, {8, 190}, {16, 380}, {32, 760}},
                                  {{1, 10}, {2, 11}, {4, 12}}};

struct request {
  std::string policy;
  draft_tree draft;
  draft_record record{};
};

std::vector<request> gen_requests() {
  std::vector<request> all(static_cast<std::size_t>(*rc::gen::inRange(0, 8)));
  for (auto& one : all) {
    one.policy = *rc::gen::element<std::string>("", "adaptive", "fixed", "off");
    one.draft = drafted_chain(token_origin::suffix, *rc::gen::inRange(0, 30),
                              std::vector<float>(static_cast<std::size_t>(*rc::gen::inRange(0, 9)), 0.9F));
  }
  return all;
}

draft_candidate candidate_of(request& one) {
  return {{&one.draft, 1}, 8, &one.record, 4, 0, 100, one.policy};
}

std::vector<draft_candidate> candidates_of(std::vector<request>& requests) {
  std::vector<draft_candidate> all;
  for (auto& one : requests)
    all.push_back(candidate_of(one));
  return all;
}

/// What `of_server` means for a request that names `wanted`.
std::string in_force(const std::string& of_server, const std::string& wanted) {
  return wanted.empty() || of_server == "off" ? of_server : wanted;
}

} // namespace

RC_GTEST_PROP(MixedDraftPolicy, IsForEachRequestWhatItNamesBesideTheRowsOfFixed, ()) {
  const auto of_server = *rc::gen::element<std::string>("adaptive", "fixed", "off");
  auto requests = gen_requests();
  const auto n = static_cast<int>(requests.size());
  const step_shape step{std::max(1, n) + *rc::gen::inRange(0, 4), n};
  mixed_draft_policy mixed{of_server, flat_then_steep};
  const auto choices = mixed.choose(candidates_of(requests), step);
  const auto asked = mixed.n_asked_of_model(candidates_of(requests), step);
  RC_ASSERT(choices.size() == requests.size() && asked.size() == requests.size());

  std::vector<draft_candidate> adaptive;
  auto beside_fixed = step;
  auto asked_beside_fixed = step;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const auto name = in_force(of_server, requests[i].policy);
    const int n_all = name == "fixed" ? static_cast<int>(requests[i].draft.nodes.size()) : 0;
    if (name == "adaptive") {
      adaptive.push_back(candidate_of(requests[i]));
      continue;
    }
    RC_ASSERT(choices[i].n_tokens == n_all);
    RC_ASSERT(asked[i] == (name == "fixed" ? 4 : 0));
    beside_fixed.n_rows += choices[i].n_tokens;
    asked_beside_fixed.n_rows += asked[i];
  }
  const auto alone = make_draft_policy("adaptive", flat_then_steep);
  const auto expected = alone->choose(adaptive, beside_fixed);
  const auto expected_asked = alone->n_asked_of_model(adaptive, asked_beside_fixed);
  std::size_t next = 0;
  for (std::size_t i = 0; i < requests.size(); ++i)
    if (in_force(of_server, requests[i].policy) == "adaptive") {
      RC_ASSERT(choices[i].n_tokens == expected[next].n_tokens);
      RC_ASSERT(choices[i].which == expected[next].which);
      RC_ASSERT(asked[i] == expected_asked[next]);
      ++next;
    }
}

RC_GTEST_PROP(MixedDraftPolicy, WishesWhatTheRequestsPolicyWishes, ()) {
  const auto of_server = *rc::gen::element<std::string>("adaptive", "fixed", "off");
  const auto wanted = *rc::gen::element<std::string>("", "adaptive", "fixed", "off");
  draft_situation now{*rc::gen::inRange(1, 40), *rc::gen::inRange(0, 20), *rc::gen::inRange(0, 40), wanted};
  const mixed_draft_policy mixed{of_server, flat_then_steep};
  const auto alone = make_draft_policy(in_force(of_server, wanted), flat_then_steep);
  RC_ASSERT(mixed.n_wished(now) == alone->n_wished(now));
}

TEST(MixedDraftPolicy, WhoDecidesLearnsFromAllRequests) {
  const std::vector<step_time> nothing_pays{{1, 100}, {2, 200}, {4, 400}, {8, 800}};
  request one{"adaptive", drafted_chain(token_origin::suffix, 4, {1.0F, 1.0F, 1.0F}), {}};
  const auto n_rows = [&](mixed_draft_policy& mixed) {
    const auto candidate = candidate_of(one);
    return mixed.choose({&candidate, 1}, {1, 1})[0].n_tokens;
  };
  const auto n_asked = [&](mixed_draft_policy& mixed) {
    one.draft.nodes.clear();
    const auto candidate = candidate_of(one);
    return mixed.n_asked_of_model({&candidate, 1}, {1, 1})[0];
  };
  mixed_draft_policy by_drafts{"fixed", flat_then_steep};
  ASSERT_GT(n_rows(by_drafts), 0);
  draft_record of_another;
  for (int i = 0; i < 400; ++i)
    by_drafts.observe(one.draft, emitted_where(0), of_another);
  EXPECT_EQ(n_rows(by_drafts), 0);
  mixed_draft_policy by_steps{"fixed", {nothing_pays, {}}};
  ASSERT_EQ(n_rows(by_steps), 0);
  for (int i = 0; i < 400; ++i)
    for (const int n : {1, 2, 4, 8})
      by_steps.step_took({n, 100});
  EXPECT_GT(n_rows(by_steps), 0);

  mixed_draft_policy by_questions{"fixed", flat_then_steep};
  ASSERT_GT(n_asked(by_questions), 0);
  for (int i = 0; i < 400; ++i)
    by_questions.observe_model(4, drafted_chain(token_origin::draft_model, 0, {1.0F}), emitted_where(0),
                               of_another);
  EXPECT_EQ(n_asked(by_questions), 0);
  mixed_draft_policy by_passes{"fixed", flat_then_steep};
  for (int i = 0; i < 400; ++i)
    by_passes.model_took({1, 10'000});
  EXPECT_EQ(n_asked(by_passes), 0);
  by_passes.model_measured(flat_then_steep.draft_model_passes);
  EXPECT_GT(n_asked(by_passes), 0);
}
