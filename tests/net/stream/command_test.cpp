// Frames that clients may send.
#include "net/stream/command.hpp"

#include "net/stream/frame_forms.hpp"
#include "net/stream/frame_text.hpp"
#include "tests/net/random_json.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <array>

namespace souffleur {
namespace {

namespace json = boost::json;
using namespace testing;

generation_failed refusal_of(const std::string& frame, std::string* stream = nullptr) {
  const auto parsed = parse_stream_command(frame, "served");
  const auto* refused = std::get_if<refused_command>(&parsed);
  if (refused == nullptr)
    return {};
  if (stream != nullptr)
    *stream = refused->stream;
  return refused->error;
}

TEST(stream_commands, areReadAsWritten) {
  auto parsed = parse_stream_command(R"({"type":"credit","id":"a","tokens":7})", "served");
  auto* command = std::get_if<stream_command>(&parsed);
  ASSERT_NE(command, nullptr);
  EXPECT_EQ(std::get<credit_command>(*command).stream, "a");
  EXPECT_EQ(std::get<credit_command>(*command).n_tokens, 7);

  parsed = parse_stream_command(R"({"type":"cancel","id":"b"})", "served");
  command = std::get_if<stream_command>(&parsed);
  ASSERT_NE(command, nullptr);
  EXPECT_EQ(std::get<cancel_command>(*command).stream, "b");

  parsed = parse_stream_command(R"({"type":"generate","id":"c","prompt":"x","credit":0,"seed":5})", "served");
  command = std::get_if<stream_command>(&parsed);
  ASSERT_NE(command, nullptr);
  const auto& generate = std::get<generate_command>(*command);
  EXPECT_EQ(generate.stream, "c");
  EXPECT_EQ(generate.wishes.credit, 0);
  EXPECT_EQ(generate.request.sampling.seed, 5U);
  EXPECT_EQ(std::get<text_prompt>(generate.request.prompt).text, "x");
}

template <class Command>
Command command_of(const std::string& frame) {
  auto parsed = parse_stream_command(frame, "served");
  auto* command = std::get_if<stream_command>(&parsed);
  return command != nullptr ? std::get<Command>(std::move(*command)) : Command{};
}

TEST(stream_commands, haveTheirFields) {
  const auto generate = command_of<generate_command>(
      R"({"type":"generate","id":"a","messages":[{"role":"user","content":"x"}],"batch_ms":7,"resumable":true})");
  EXPECT_EQ(generate.wishes.batch, std::chrono::milliseconds{7});
  EXPECT_TRUE(generate.resumable);
  EXPECT_TRUE(generate.keep);
  EXPECT_EQ(generate.wishes.credit, std::nullopt);
  EXPECT_FALSE(
      command_of<generate_command>(R"({"type":"generate","id":"a","prompt":"x","keep":false})").keep);
  const auto append = command_of<append_command>(R"({"type":"append","id":"b","prompt":"x","credit":3})");
  EXPECT_EQ(append.stream, "b");
  EXPECT_EQ(append.wishes.credit, 3);
  const auto update =
      command_of<update_command>(R"({"type":"update","id":"c","max_tokens":4,"priority":-5})");
  EXPECT_EQ(update.change.max_tokens, 4);
  EXPECT_EQ(update.change.priority, -5);
  EXPECT_FALSE(update.change.stop_thinking);
  const auto hush = command_of<update_command>(R"({"type":"update","id":"c","stop_thinking":true})");
  EXPECT_TRUE(hush.change.stop_thinking);
  EXPECT_EQ(hush.change.max_tokens, std::nullopt);
  const auto resume = command_of<resume_command>(R"({"type":"resume","id":"d","token":"t","after":-1})");
  EXPECT_EQ(resume.token, "t");
  EXPECT_EQ(resume.after, -1);
  EXPECT_EQ(command_of<ping_command>(R"({"type":"ping","data":"x"})").data, "x");
  EXPECT_EQ(command_of<ping_command>(R"({"type":"ping"})").data, std::nullopt);
}

/// Characters, not bytes: the schema counts so, too.
TEST(stream_commands, aNameHasAtMostSoManyCharacters) {
  std::string name;
  for (int i = 0; i < max_stream_id_characters; ++i)
    name += "ß";
  EXPECT_EQ(command_of<cancel_command>(R"({"type":"cancel","id":")" + name + "\"}").stream, name);
  EXPECT_EQ(refusal_of(R"({"type":"cancel","id":")" + name + "x\"}").parameter, "id");
}

TEST(stream_commands, aRefusalNamesStreamAndParameter) {
  const std::vector<std::array<const char*, 3>> cases{
      {R"({"type":"generate","prompt":"x"})", "", "id"},
      {R"({"type":"generate","id":7,"prompt":"x"})", "", "id"},
      {R"({"type":"generate","id":"","prompt":"x"})", "", "id"},
      {R"({"id":"a"})", "a", "type"},
      {R"({"type":5,"id":"a"})", "a", "type"},
      {R"({"type":"dance","id":"a"})", "a", "type"},
      {R"({"type":"credit","id":"a"})", "a", "tokens"},
      {R"({"type":"credit","id":"a","tokens":0})", "a", "tokens"},
      {R"({"type":"append","id":"a"})", "a", "messages"},
      {R"({"type":"append","id":"a","messages":[{"role":"user"},{}]})", "a", "messages[1].role"},
      {R"({"type":"append","id":"a","prompt":"x","credit":-1})", "a", "credit"},
      {R"({"type":"update","id":"a"})", "a", "max_tokens"},
      {R"({"type":"update","id":"a","max_tokens":0})", "a", "max_tokens"},
      {R"({"type":"update","id":"a","stop_thinking":1})", "a", "stop_thinking"},
      {R"({"type":"update","id":"a","stop_thinking":false})", "a", "max_tokens"},
      {R"({"type":"update","id":"a","priority":101})", "a", "priority"},
      {R"({"type":"resume","id":"a","after":1})", "a", "token"},
      {R"({"type":"resume","id":"a","token":"t"})", "a", "after"},
      {R"({"type":"resume","id":"a","token":"t","after":-2})", "a", "after"},
      {R"({"type":"ping","data":5})", "", "data"},
      {R"({"type":"generate","id":"a","prompt":"x","batch_ms":10001})", "a", "batch_ms"},
      {R"({"type":"generate","id":"a","prompt":"x","resumable":1})", "a", "resumable"},
      {R"({"type":"generate","id":"a"})", "a", "messages"},
      {R"({"type":"generate","id":"a","prompt":"x","credit":-1})", "a", "credit"},
      {R"({"type":"generate","id":"a","prompt":"x","n":2})", "a", "n"},
      {R"({"type":"generate","id":"a","prompt":["x","y"]})", "a", "n"},
      {R"({"type":"generate","id":"a","prompt":"x","temperature":9})", "a", "temperature"},
      {R"({"type":"generate","id":"a","messages":[],"temperature":1})", "a", "messages"}};
  for (const auto& [frame, stream, parameter] : cases) {
    std::string named;
    EXPECT_EQ(refusal_of(frame, &named).parameter, parameter) << frame;
    EXPECT_EQ(named, stream) << frame;
  }
  EXPECT_EQ(refusal_of("{").code, "invalid_json");
  EXPECT_EQ(refusal_of("[]").code, "invalid_type");
  const std::string long_id(max_stream_id_characters + 1, 'x');
  EXPECT_EQ(refusal_of(R"({"type":"cancel","id":")" + long_id + "\"}").parameter, "id");
}

RC_GTEST_PROP(stream_commands_law, anyBytesAreRefusedWithAFrame, ()) {
  const auto bytes = *broken_text();
  const auto parsed = parse_stream_command(bytes, "served");
  if (const auto* refused = std::get_if<refused_command>(&parsed))
    RC_ASSERT(json::parse(refusal_frame(*refused)).at("type") == "error");
}

RC_GTEST_PROP(stream_commands_law, anyObjectIsACommandOrARefusalOfAParameter, ()) {
  json::object frame{{"id", *rc::gen::element<std::string>("a", "b")}};
  frame["type"] =
      *rc::gen::element<std::string>("generate", "append", "credit", "cancel", "update", "resume", "ping");
  for (const auto* name :
       {"id", "type", "credit", "tokens", "prompt", "messages", "n", "stream", "souffleur", "batch_ms",
        "resumable", "keep", "max_tokens", "priority", "token", "after", "data"})
    if (*rc::gen::inRange(0, 3) == 0)
      frame[name] = *json_value();
  const auto parsed = parse_stream_command(json::serialize(frame), "served");
  if (const auto* refused = std::get_if<refused_command>(&parsed)) {
    RC_ASSERT(refused->error.status / 100 == 4);
    RC_ASSERT(!refused->error.parameter.empty());
    RC_ASSERT(!refused->error.message.empty());
    const auto shown = json::parse(refusal_frame(*refused));
    RC_ASSERT(shown.at("error").at("message").is_string());
  }
}

} // namespace
} // namespace souffleur
