#include "policies/coins.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

using namespace souffleur;

RC_GTEST_PROP(UniformCoins, PickWhatTheNamedCoinPointsAt, ()) {
  const double uniform = (*rc::gen::inRange(0, 1000) + 0.5) / 1000;
  const int offset = *rc::gen::inRange(0, 9);
  const auto index = *rc::gen::inRange<std::uint32_t>(0, 9);
  const uniform_coins from{[&](const coin& which) {
    const bool named = which.offset == offset && which.purpose == rng_purpose::accept && which.index == index;
    return named ? uniform : 2.0;
  }};
  const std::vector<double> probabilities{0.25, 0, 0.5, 0.25};
  const std::size_t wanted = uniform < 0.25 ? 0 : uniform < 0.75 ? 2 : 3;
  RC_ASSERT(from.pick({offset, rng_purpose::accept, index}, probabilities) == wanted);
  RC_ASSERT(draw(from, {offset, rng_purpose::accept, index}, {{3, 5, 8, 9}, probabilities}) ==
            std::vector<token_id>({3, 5, 8, 9})[wanted]);
}

TEST(UniformCoins, GiveZeroWhereThereIsNothingToPick) {
  const uniform_coins from{[](const coin&) { return 0.5; }};
  EXPECT_EQ(from.pick({}, {}), 0U);
  EXPECT_EQ(draw(from, {}, {}), 0);
  EXPECT_EQ(from.race(0, {}), 0);
}

TEST(UniformCoins, RaceWithACoinForEveryToken) {
  // With the same coin for all, the most likely wins; token 7 gets a coin that makes it first.
  const distribution law{{2, 7, 9}, {0.3, 0.2, 0.5}};
  EXPECT_EQ(uniform_coins{[](const coin&) { return 0.5; }}.race(4, law), 9);
  const uniform_coins uneven{[](const coin& which) {
    const bool seven = which.offset == 4 && which.purpose == rng_purpose::gumbel && which.index == 7;
    return seven ? 0.99 : 0.5;
  }};
  EXPECT_EQ(uneven.race(4, law), 7);
  EXPECT_EQ(uneven.race(5, law), 9);
}
