// Each message between a server and its drafter comes back as it was.
#include "actors/cluster/drafter_wire.hpp"

#include "tests/actors/cluster/travelling.hpp"

namespace souffleur {
namespace {

using drafter_wire = testing::travelling;

TEST_F(drafter_wire, AnOrderArrivesWithAllOfItsFields) {
  remote_wish wish{1, "salt", 2, {3, 4}, 5, 6, {}};
  wish.sampling.temperature = 0.5F;
  wish.sampling.seed = 7;
  const draft_order sent{8, true, {9, 10}, {wish}};
  const auto got = travelled(sent);
  EXPECT_EQ(got.number, 8U);
  EXPECT_TRUE(got.starts_over);
  EXPECT_EQ(got.ended, sent.ended);
  ASSERT_EQ(got.wishes.size(), 1U);
  const auto& one = got.wishes.front();
  EXPECT_EQ(std::tie(one.id, one.salt, one.offset, one.appended, one.n_prompt, one.n_max),
            std::tie(wish.id, wish.salt, wish.offset, wish.appended, wish.n_prompt, wish.n_max));
  EXPECT_EQ(one.sampling.temperature, 0.5F);
  EXPECT_EQ(one.sampling.seed, 7U);
  expect_refuses_cuts(sent);
}

TEST_F(drafter_wire, ABatchArrivesWithAllOfItsFields) {
  const drafted_batch sent{1, {{2, {3, 4}, {0.5F, 0.25F}, 5, 6}, {}}, {7, 8.5}, 9.5};
  const auto got = travelled(sent);
  EXPECT_EQ(got.number, 1U);
  ASSERT_EQ(got.chains.size(), 2U);
  const auto& a = got.chains.front();
  const auto& b = sent.chains.front();
  EXPECT_EQ(std::tie(a.id, a.tokens, a.probabilities, a.n_known, a.n_behind),
            std::tie(b.id, b.tokens, b.probabilities, b.n_known, b.n_behind));
  EXPECT_EQ(got.pass.n_rows, 7);
  EXPECT_EQ(got.pass.us, 8.5);
  EXPECT_EQ(got.took_us, 9.5);
  expect_refuses_cuts(sent);
}

TEST_F(drafter_wire, TheOthersArriveToo) {
  const auto hello = travelled(drafter_hello{2, "nonce"});
  EXPECT_EQ(hello.protocol, 2);
  EXPECT_EQ(hello.nonce, "nonce");
  const auto challenge = travelled(drafter_challenge{"nonce", "proof", 3});
  EXPECT_EQ(challenge.nonce + challenge.proof, "nonceproof");
  EXPECT_EQ(challenge.vocabulary_size, 3);
  const auto proof = travelled(drafter_proof{"proof", {"name", 4, "vocabulary", true}});
  EXPECT_EQ(proof.proof, "proof");
  EXPECT_EQ(std::tuple(proof.terms.model_name, proof.terms.vocabulary_size, proof.terms.vocabulary,
                       proof.terms.races),
            std::tuple("name", 4, "vocabulary", true));
  const auto answer = travelled(drafter_registration{"why", "name", {{5, 6.5}}});
  EXPECT_EQ(answer.why + answer.model_name, "whyname");
  ASSERT_EQ(answer.passes.size(), 1U);
  EXPECT_EQ(answer.passes.front().n_rows, 5);
  EXPECT_EQ(answer.passes.front().us, 6.5);
  travelled(drafter_beat{});
}

} // namespace
} // namespace souffleur
