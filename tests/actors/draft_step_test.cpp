#include "actors/draft_step.hpp"

#include "tests/actors/fake_model.hpp"

#include <gtest/gtest.h>

namespace souffleur {
namespace {

using namespace souffleur::testing;

model_drafter drafter() {
  return {std::make_shared<fake_model>(8), fake_vocabulary, {fake_end}, make_eviction_policy("lru")};
}

std::shared_ptr<const draft_subject> greedy_subject() {
  auto subject = std::make_shared<draft_subject>();
  auto sampling = std::make_shared<sampling_params>();
  sampling->temperature = 0;
  subject->n_prompt = 3;
  subject->sampling = sampling;
  return subject;
}

TEST(DraftStep, EachWishHasAProposalWithWhatTheDrafterKnowsThen) {
  auto model = drafter();
  const auto subject = greedy_subject();
  const auto offer = carry_out({{{4, 0, {1, 2, 3}, 2, subject, {}}, {9, 5, {1}, 2, subject, {}}}, {}}, model);
  ASSERT_EQ(offer.proposals.size(), 2U);
  EXPECT_EQ(offer.proposals[0].id, 4U);
  EXPECT_EQ(offer.proposals[0].n_known, 3);
  EXPECT_EQ(offer.proposals[1].id, 9U);
  EXPECT_EQ(offer.proposals[1].n_known, 0) << "what comes before is missing";
  EXPECT_TRUE(offer.proposals[1].drafts.empty());
}

TEST(DraftStep, WhoHasEndedIsForgotten) {
  auto model = drafter();
  const auto subject = greedy_subject();
  carry_out({{{4, 0, {1, 2, 3}, 2, subject, {}}}, {}}, model);
  ASSERT_EQ(model.size(), 1U);
  carry_out({{}, {{4, 0, {}, subject, false}}}, model);
  EXPECT_EQ(model.size(), 0U);
}

} // namespace
} // namespace souffleur
