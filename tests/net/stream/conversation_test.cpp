// What append sends to the model.
#include "net/stream/conversation.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <gtest/gtest.h>

namespace souffleur {
namespace {

namespace json = boost::json;

conversation begun(const std::string& frame) { return *conversation::from(json::parse(frame), frame.size()); }

conversation continued(const conversation& from, const std::string& append) {
  return std::get<conversation>(from.continued_by(json::parse(append), append.size()));
}

std::string complaint(const conversation& from, const std::string& append) {
  return std::get<generation_failed>(from.continued_by(json::parse(append), append.size())).parameter;
}

TEST(a_conversation, isWhatTheClientWouldHaveSentWithoutAppend) {
  auto chat = begun(
      R"({"type":"generate","id":"a","messages":[{"role":"user","content":"one"}],"seed":5,"top_k":3})");
  chat.answered("two");
  const auto more = continued(
      chat,
      R"({"type":"append","id":"a","messages":[{"role":"user","content":"three"}],"top_k":null,"seed":6})");
  EXPECT_EQ(more.frame(),
            json::parse(R"({"type":"generate","id":"a","messages":[{"role":"user","content":"one"},
    {"role":"assistant","content":"two"},{"role":"user","content":"three"}],"seed":6,"top_k":3})"));
}

TEST(a_conversation, ofATextIsTheText) {
  auto text = begun(R"({"type":"generate","id":"a","prompt":"one ","credit":4})");
  text.answered("two ");
  const auto more = continued(text, R"({"type":"append","id":"a","prompt":"three","credit":9})");
  EXPECT_EQ(more.frame().at("prompt"), "one two three");
  EXPECT_EQ(more.frame().at("credit"), 4);
}

TEST(a_conversation, isContinuedInItsOwnKindOnly) {
  const auto chat = begun(R"({"messages":[{"role":"user","content":"one"}]})");
  const auto text = begun(R"({"prompt":"one"})");
  EXPECT_EQ(complaint(chat, R"({"prompt":"x"})"), "messages");
  EXPECT_EQ(complaint(text, R"({"messages":[{"role":"user","content":"x"}]})"), "prompt");
  EXPECT_EQ(complaint(text, R"({"prompt":[1,2]})"), "prompt");
  EXPECT_FALSE(conversation::from(json::parse(R"({"prompt":[1,2]})"), 10));
}

TEST(a_conversation, countsWhatItKeeps) {
  auto text = *conversation::from(json::parse(R"({"prompt":"one"})"), 100);
  text.answered("12345");
  EXPECT_EQ(text.n_bytes(), 105U);
  const auto more = std::get<conversation>(text.continued_by(json::parse(R"({"prompt":"x"})"), 50));
  EXPECT_EQ(more.n_bytes(), 155U);
}

} // namespace
} // namespace souffleur
