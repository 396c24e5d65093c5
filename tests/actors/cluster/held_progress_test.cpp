#include "actors/cluster/held_progress.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <set>

namespace souffleur {
namespace {

generation_delta delta_of(token_id first, int n_tokens, const std::string& tail) {
  generation_delta delta;
  for (int i = 0; i < n_tokens; ++i)
    delta.tokens.push_back({first + i, token_origin::model, "", "t", std::nullopt});
  delta.tail = tail;
  delta.step = step_trace{n_tokens, 2, 1, token_origin::suffix, 0.5};
  return delta;
}

} // namespace

// Planted bugs that it caught: a stream twice in a batch; what is dropped still counted; taken but not
// emptied; steps not added up.
RC_GTEST_PROP(HeldProgress, AStreamIsOnceInABatchWithAllThatItHasMadeSinceTheOneBefore, ()) {
  held_progress held{1 << 20};
  std::map<attempt_id, std::vector<token_id>> made; // since the batch before
  std::map<attempt_id, int> n_steps;
  token_id next = 0;
  for (int i = *rc::gen::inRange(0, 60); i > 0; --i) {
    const auto attempt = *rc::gen::inRange<attempt_id>(1, 5);
    switch (*rc::gen::inRange(0, 6)) {
    case 0: {
      const auto batch = held.take();
      std::set<attempt_id> seen;
      for (const auto& one : batch.streams) {
        RC_ASSERT(seen.insert(one.attempt).second);
        std::vector<token_id> tokens;
        for (const auto& token : one.delta.tokens)
          tokens.push_back(token.id);
        RC_ASSERT(tokens == made[one.attempt]);
        RC_ASSERT(one.n_steps == n_steps[one.attempt]);
        RC_ASSERT((one.n_steps == 0 || one.delta.step->n_drafted == 2 * one.n_steps));
      }
      for (const auto& [id, tokens] : made)
        RC_ASSERT((tokens.empty() || seen.contains(id)));
      made.clear();
      n_steps.clear();
      RC_ASSERT(held.empty());
      break;
    }
    case 1:
      held.drop(attempt);
      made[attempt].clear();
      n_steps[attempt] = 0;
      break;
    case 2:
      held.hand_over(attempt);
      made[attempt].clear();
      n_steps[attempt] = 0;
      break;
    default: {
      const int n = *rc::gen::inRange(0, 4);
      held.add(attempt, delta_of(next, n, ""));
      ++n_steps[attempt];
      for (int j = 0; j < n; ++j)
        made[attempt].push_back(next++);
    }
    }
    int n_tokens = 0;
    for (const auto& [id, tokens] : made)
      n_tokens += static_cast<int>(tokens.size());
    RC_ASSERT(held.n_tokens() == n_tokens);
  }
}

TEST(HeldProgress, BeyondItsBoundTheStreamThatHasMostIsToBeHandedOver) {
  held_progress held{10};
  held.add(1, delta_of(0, 4, ""));
  held.add(2, delta_of(0, 6, ""));
  EXPECT_FALSE(held.beyond_bound().has_value());
  held.add(1, delta_of(0, 1, ""));
  EXPECT_EQ(held.beyond_bound(), attempt_id{2});
  held.hand_over(2);
  EXPECT_FALSE(held.beyond_bound().has_value());
  const auto batch = held.take();
  ASSERT_EQ(batch.streams.size(), 2U);
  EXPECT_FALSE(batch.streams[0].is_handed_over);
  EXPECT_TRUE(batch.streams[1].is_handed_over);
  EXPECT_TRUE(batch.streams[1].delta.tokens.empty());
}

TEST(HeldProgress, AnEndComesWithTheTokensBeforeIt) {
  held_progress held{10};
  held.add(1, generation_accepted{3, 4});
  EXPECT_TRUE(held.empty());
  held.add(1, delta_of(7, 1, "end"));
  held.add(1, generation_finished{finish_reason::length, "", {}});
  const auto batch = held.take();
  ASSERT_EQ(batch.streams.size(), 1U);
  EXPECT_EQ(batch.streams[0].delta.tail, "end");
  EXPECT_EQ(batch.streams[0].finished->reason, finish_reason::length);
}

} // namespace souffleur
