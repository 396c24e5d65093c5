#include "actors/cluster/draft_exchange.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>

namespace souffleur {
namespace {

constexpr int vocabulary_size = 100;

std::vector<token_id> any_tokens(int n_most) {
  return *rc::gen::container<std::vector<token_id>>(*rc::gen::inRange(0, n_most + 1),
                                                    rc::gen::inRange(0, vocabulary_size));
}

draft_demand any_demand() {
  draft_demand demand;
  for (int i = *rc::gen::inRange(1, 5); i > 0; --i) {
    auto subject = std::make_shared<draft_subject>();
    auto sampling = std::make_shared<sampling_params>();
    sampling->seed = *rc::gen::arbitrary<std::uint64_t>();
    sampling->stop = {"a secret word"};
    sampling->stop_token_ids = {7};
    subject->tenant = *rc::gen::element("a", "b");
    subject->n_prompt = *rc::gen::inRange(0, 5);
    subject->sampling = sampling;
    const auto id = static_cast<sequence_id>(i) * 10;
    demand.wishes.push_back(
        {id, *rc::gen::inRange(0, 9), any_tokens(6), *rc::gen::inRange(1, 9), subject, {}});
    if (*rc::gen::arbitrary<bool>())
      demand.ended.push_back({id + 1, 3, any_tokens(3), subject, true});
  }
  return demand;
}

draft_offer any_offer_for(const draft_demand& demand) {
  draft_offer offer;
  for (const auto& wish : demand.wishes) {
    const int n_known = *rc::gen::inRange(0, wish.offset + static_cast<int>(wish.appended.size()) + 1);
    draft_proposal proposal{wish.id, {}, n_known, *rc::gen::inRange(0, n_known + 1)};
    draft_tree draft;
    draft.origin = token_origin::draft_model;
    for (const auto token : any_tokens(wish.n_max))
      draft.nodes.push_back({token, static_cast<int>(draft.nodes.size()) - 1,
                             static_cast<float>(*rc::gen::inRange(0, 11)) / 10});
    if (!draft.nodes.empty())
      proposal.drafts.push_back(draft);
    offer.proposals.push_back(proposal);
  }
  offer.pass = {2, 30};
  return offer;
}

RC_GTEST_PROP(DraftExchange, ADemandArrivesWithoutTextAndWithoutItsTenants, ()) {
  const auto demand = any_demand();
  const auto order = order_of(demand);
  const auto got = demand_of(order);
  RC_ASSERT(bool(got));
  RC_ASSERT(got->wishes.size() == demand.wishes.size());
  RC_ASSERT(got->ended.size() == demand.ended.size());
  for (std::size_t i = 0; i < demand.ended.size(); ++i)
    RC_ASSERT(got->ended[i].id == demand.ended[i].id);
  for (std::size_t i = 0; i < demand.wishes.size(); ++i) {
    const auto& a = demand.wishes[i];
    const auto& b = got->wishes[i];
    RC_ASSERT(std::tie(a.id, a.offset, a.appended, a.n_max) == std::tie(b.id, b.offset, b.appended, b.n_max));
    RC_ASSERT(a.subject->n_prompt == b.subject->n_prompt);
    RC_ASSERT(a.subject->sampling->seed == b.subject->sampling->seed);
    RC_ASSERT(a.subject->sampling->stop_token_ids == b.subject->sampling->stop_token_ids);
    RC_ASSERT(b.subject->sampling->stop.empty());
    RC_ASSERT(b.subject->tenant != a.subject->tenant);
    for (std::size_t j = 0; j < demand.wishes.size(); ++j)
      RC_ASSERT((demand.wishes[j].subject->tenant == a.subject->tenant) ==
                (got->wishes[j].subject->tenant == b.subject->tenant));
  }
}

RC_GTEST_PROP(DraftExchange, AnOfferArrivesAsItWas, ()) {
  const auto demand = any_demand();
  const auto offer = any_offer_for(demand);
  const auto got = offer_of(batch_of(offer), demand, vocabulary_size);
  RC_ASSERT(got.has_value());
  RC_ASSERT(got->pass.n_rows == offer.pass.n_rows && got->pass.us == offer.pass.us);
  RC_ASSERT(got->proposals.size() == offer.proposals.size());
  for (std::size_t i = 0; i < offer.proposals.size(); ++i) {
    const auto& a = offer.proposals[i];
    const auto& b = got->proposals[i];
    RC_ASSERT(std::tie(a.id, a.n_known, a.n_behind) == std::tie(b.id, b.n_known, b.n_behind));
    RC_ASSERT(a.drafts.size() == b.drafts.size());
    if (a.drafts.empty())
      continue;
    RC_ASSERT(b.drafts[0].is_chain());
    RC_ASSERT(b.drafts[0].origin == token_origin::draft_model);
    RC_ASSERT(a.drafts[0].tokens() == b.drafts[0].tokens());
    for (std::size_t j = 0; j < a.drafts[0].nodes.size(); ++j)
      RC_ASSERT(a.drafts[0].nodes[j].probability == b.drafts[0].nodes[j].probability);
  }
}

// Planted bugs that it caught: the sequence, the bound of n_known, that of the token left out.
RC_GTEST_PROP(DraftExchange, WhatCannotBeTheAnswerIsNotBelieved, ()) {
  const auto demand = any_demand();
  auto batch = batch_of(any_offer_for(demand));
  const auto which = *rc::gen::inRange<std::size_t>(0, batch.chains.size());
  auto& chain = batch.chains[which];
  const auto& wish = demand.wishes[which];
  const auto add = [&](token_id token, float probability) {
    chain.tokens.push_back(token);
    chain.probabilities.push_back(probability);
  };
  const auto make_room = [&] {
    if (static_cast<int>(chain.tokens.size()) == wish.n_max) {
      chain.tokens.pop_back();
      chain.probabilities.pop_back();
    }
  };
  switch (*rc::gen::inRange(0, 9)) {
  case 0:
    chain.id += 5;
    break;
  case 1:
    chain.n_known = wish.offset + static_cast<int>(wish.appended.size()) + 1;
    break;
  case 2:
    chain.n_known = chain.n_behind = -1;
    break;
  case 3:
    chain.n_behind = *rc::gen::element(-1, chain.n_known + 1);
    break;
  case 4:
    chain.probabilities.push_back(0.5F);
    break;
  case 5:
    while (static_cast<int>(chain.tokens.size()) <= wish.n_max)
      add(1, 0.5F);
    break;
  case 6:
    make_room();
    add(*rc::gen::element(-1, vocabulary_size), 0.5F);
    break;
  case 7:
    make_room();
    add(1, *rc::gen::element(-0.5F, 1.5F, NAN, INFINITY));
    break;
  default:
    batch.chains.pop_back();
  }
  RC_ASSERT(!offer_of(batch, demand, vocabulary_size).has_value());
}

TEST(DraftExchange, AnOrderThatNoSchedulerGivesIsRefused) {
  const auto complaint = [](std::vector<remote_wish> wishes) {
    draft_order order;
    order.wishes = std::move(wishes);
    const auto got = demand_of(order);
    return got ? std::string{} : got.error();
  };
  EXPECT_EQ(complaint({{1, "", 0, {2}, 1, 4, {}}, {2, "", 0, {2}, 1, 4, {}}}), "");
  EXPECT_NE(complaint({{1, "", 0, {2}, 1, 4, {}}, {1, "", 0, {2}, 1, 4, {}}}), "");
  EXPECT_NE(complaint({{1, "", -1, {2}, 1, 4, {}}}), "");
  EXPECT_NE(complaint({{1, "", 0, {2}, -1, 4, {}}}), "");
  EXPECT_NE(complaint({{1, "", 0, {2}, 1, -4, {}}}), "");
  EXPECT_NE(complaint({{1, "", 0, {2}, 1, 1 << 30, {}}}), "");
}

} // namespace
} // namespace souffleur
