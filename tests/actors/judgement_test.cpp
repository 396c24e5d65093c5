#include "actors/judgement.hpp"

#include <gtest/gtest.h>

namespace souffleur {
namespace {

TEST(Judgement, OnlyAPlainYesOrNoCounts) {
  EXPECT_EQ(likeness_said("Yes"), likeness::same);
  EXPECT_EQ(likeness_said("  **yes**, it would"), likeness::same);
  EXPECT_EQ(likeness_said("no."), likeness::different);
  EXPECT_EQ(likeness_said("None of them"), likeness::unknown);
  EXPECT_EQ(likeness_said("yesterday"), likeness::unknown);
  EXPECT_EQ(likeness_said(""), likeness::unknown);
  EXPECT_EQ(likeness_said("42"), likeness::unknown);
}

TEST(Judgement, IsAskedForAfterEverybodyElseAndNeverCached) {
  doubtful_answer doubt;
  doubt.stored_question = "which stone?";
  doubt.stored_answer = std::string(5000, 'x') + "\u00e9";
  doubt.asked_question = "what stone?";
  doubt.generated_answer = "slate";
  const auto request = judgement_of(doubt);
  EXPECT_EQ(request.cache.mode, cache_mode::off);
  EXPECT_EQ(request.sampling.temperature, 0);
  EXPECT_LT(request.priority, 0);
  const auto& messages = std::get<chat_prompt>(request.prompt).messages;
  ASSERT_EQ(messages.size(), 1U);
  const std::string text{messages.at(0).at("content").as_string()};
  for (const auto* part : {"which stone?", "what stone?", "slate"})
    EXPECT_NE(text.find(part), std::string::npos) << part;
  EXPECT_LT(text.size(), 2000U) << "the judge is to decide quickly";
}

} // namespace
} // namespace souffleur
