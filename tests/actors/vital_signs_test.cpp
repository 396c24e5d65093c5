#include "actors/vital_signs.hpp"

#include <gtest/gtest.h>

#include <stdexcept>

namespace souffleur {
namespace {

using std::chrono::seconds;

TEST(VitalSigns, AStepThatTakesTooLongIsALackOfLifeUntilItEnds) {
  vital_signs signs{seconds{10}};
  const steady_time began{seconds{100}};
  {
    const vital_signs::step_watch watch{signs, began};
    EXPECT_TRUE(signs.health(began + seconds{10}).is_alive);
    const auto stuck = signs.health(began + seconds{11});
    EXPECT_FALSE(stuck.is_alive);
    EXPECT_FALSE(stuck.is_ready);
    EXPECT_NE(stuck.why.find("11 s"), std::string::npos);
  }
  EXPECT_TRUE(signs.health(began + seconds{1000}).is_alive);
}

TEST(VitalSigns, AStepThatThrowsHasEnded) {
  vital_signs signs{seconds{10}};
  try {
    const vital_signs::step_watch watch{signs, steady_time{}};
    throw std::runtime_error("planned");
  } catch (const std::runtime_error&) {
  }
  EXPECT_TRUE(signs.health(steady_time{} + seconds{1000}).is_alive);
}

TEST(VitalSigns, OnlyTheDeathOfAVitalPartIsALackOfReadiness) {
  vital_signs signs{seconds{10}};
  signs.part_is_down("drafter", false);
  EXPECT_TRUE(signs.health({}).is_ready);
  EXPECT_EQ(signs.health({}).parts_down, std::vector<std::string>{"drafter"});
  signs.part_is_down("verifier", true);
  EXPECT_TRUE(signs.health({}).is_alive);
  EXPECT_FALSE(signs.health({}).is_ready);
  EXPECT_NE(signs.health({}).why.find("verifier"), std::string::npos);
  signs.part_is_up("verifier");
  signs.part_is_up("drafter");
  EXPECT_TRUE(signs.health({}).is_ready);
  EXPECT_TRUE(signs.health({}).parts_down.empty());
}

TEST(VitalSigns, WhoGaveUpIsDeadForGood) {
  vital_signs signs{seconds{10}};
  signs.gave_up("verifier failed");
  signs.part_is_up("verifier");
  EXPECT_FALSE(signs.health({}).is_alive);
  EXPECT_EQ(signs.health({}).why, "verifier failed");
}

} // namespace
} // namespace souffleur
