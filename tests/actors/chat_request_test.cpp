#include "actors/chat_request.hpp"

#include <boost/json/serialize.hpp>
#include <gtest/gtest.h>

using namespace souffleur;

namespace {

std::string messages_of(const generation_request& request) {
  return boost::json::serialize(std::get<chat_prompt>(request.prompt).messages);
}

} // namespace

TEST(ChatRequest, HasTheInstructionsBeforeTheQuestion) {
  const auto request = chat_request("Why?", 12, "Be brief.");
  EXPECT_EQ(messages_of(request),
            R"([{"role":"system","content":"Be brief."},{"role":"user","content":"Why?"}])");
  EXPECT_TRUE(request.max_tokens_given);
  EXPECT_EQ(request.sampling.max_tokens, 12);
  EXPECT_FALSE(request.seed_given);
}

TEST(ChatRequest, WithoutInstructionsThereIsNoSystemMessage) {
  EXPECT_EQ(messages_of(chat_request("Why?", 12)), R"([{"role":"user","content":"Why?"}])");
}
