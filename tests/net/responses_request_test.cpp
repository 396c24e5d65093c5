#include "net/responses_request.hpp"

#include <boost/json/parse.hpp>
#include <gtest/gtest.h>

#include <array>

namespace souffleur {
namespace {

namespace json = boost::json;

constexpr std::string_view model = "served";

openai_call call_of(const std::string& body) {
  auto parsed = parse_responses_request(json::parse(body), model);
  if (const auto* failed = std::get_if<generation_failed>(&parsed)) {
    ADD_FAILURE() << failed->message;
    return {};
  }
  return std::get<openai_call>(std::move(parsed));
}

json::array messages_of(const std::string& body) {
  return std::get<chat_prompt>(call_of(body).generations.at(0).prompt).messages;
}

TEST(ResponsesRequest, ATextIsAQuestionAndInstructionsComeFirst) {
  EXPECT_EQ(messages_of(R"({"input":"Hi"})"), json::parse(R"([{"role":"user","content":"Hi"}])"));
  EXPECT_EQ(messages_of(R"({"input":"Hi","instructions":"Be kind."})"),
            json::parse(R"([{"role":"system","content":"Be kind."},{"role":"user","content":"Hi"}])"));
}

TEST(ResponsesRequest, ItemsAreMessages) {
  EXPECT_EQ(messages_of(R"({"input":[
      {"role":"developer","content":"Be kind."},
      {"type":"message","role":"user","content":[{"type":"input_text","text":"a"},{"type":"input_text","text":"b"}]},
      {"type":"reasoning","id":"r","summary":[]},
      {"type":"message","role":"assistant","content":[{"type":"output_text","text":"c","annotations":[]}]}]})"),
            json::parse(R"([{"role":"system","content":"Be kind."},{"role":"user","content":"ab"},
                            {"role":"assistant","content":"c"}])"));
}

TEST(ResponsesRequest, CallsInSuccessionAreOfOneAnswer) {
  EXPECT_EQ(messages_of(R"({"input":[
      {"role":"user","content":"?"},
      {"type":"function_call","call_id":"1","name":"f","arguments":"{}"},
      {"type":"function_call","call_id":"2","name":"g","arguments":"{}"},
      {"type":"function_call_output","call_id":"1","output":"x"},
      {"type":"function_call","call_id":"3","name":"f","arguments":"{}"}]})"),
            json::parse(R"([{"role":"user","content":"?"},
      {"role":"assistant","content":null,"tool_calls":[
        {"id":"1","type":"function","function":{"name":"f","arguments":"{}"}},
        {"id":"2","type":"function","function":{"name":"g","arguments":"{}"}}]},
      {"role":"tool","tool_call_id":"1","content":"x"},
      {"role":"assistant","content":null,"tool_calls":[
        {"id":"3","type":"function","function":{"name":"f","arguments":"{}"}}]}])"));
}

TEST(ResponsesRequest, ParametersAreThoseOfChats) {
  const auto call =
      call_of(R"({"input":"Hi","model":"served","max_output_tokens":7,"temperature":0.5,"top_p":0.25,
      "seed":3,"stream":true,"store":false,"souffleur":{"priority":4,"max_thinking_tokens":5}})");
  ASSERT_EQ(call.generations.size(), 1U);
  const auto& asked = call.generations[0];
  EXPECT_TRUE(call.stream);
  EXPECT_EQ(asked.sampling.max_tokens, 7);
  EXPECT_EQ(asked.sampling.temperature, 0.5F);
  EXPECT_EQ(asked.sampling.top_p, 0.25F);
  EXPECT_EQ(asked.sampling.seed, 3U);
  EXPECT_EQ(asked.priority, 4);
  EXPECT_EQ(asked.sampling.max_thinking_tokens, 5);
  ASSERT_TRUE(call.responses.has_value());
  EXPECT_EQ(call.responses->at("temperature"), 0.5);
  EXPECT_EQ(call.responses->at("max_output_tokens"), 7);
  EXPECT_EQ(call.responses->at("store"), false);
}

TEST(ResponsesRequest, FormatsAndToolsAreWrittenOtherwise) {
  const auto formed = call_of(
      R"({"input":"Hi","text":{"format":{"type":"json_schema","name":"n","strict":true,"schema":{"type":"null"}}}})");
  ASSERT_TRUE(formed.generations.at(0).output.has_value());
  EXPECT_EQ(formed.generations[0].output->grammar.in, grammar::language::json_schema);
  EXPECT_EQ(formed.generations[0].output->grammar.source, R"({"type":"null"})");
  const auto json_object = call_of(R"({"input":"Hi","text":{"format":{"type":"json_object"}}})");
  EXPECT_EQ(json_object.generations.at(0).output->grammar.in, grammar::language::json_object);
  const auto called =
      call_of(R"({"input":"Hi","tools":[{"type":"function","name":"f","parameters":{"type":"object"}}],
      "tool_choice":{"type":"function","name":"f"}})");
  EXPECT_TRUE(called.has_tools);
  EXPECT_EQ(called.generations.at(0).output->grammar.in, grammar::language::tool_calls);
}

TEST(ResponsesRequest, ErrorsNameTheParametersOfThisEndpoint) {
  const std::vector<std::array<const char*, 2>> cases{
      {R"([])", ""},
      {R"({})", "input"},
      {R"({"input":5})", "input"},
      {R"({"input":[]})", "input"},
      {R"({"input":[7]})", "input[0]"},
      {R"({"input":[{"content":"x"}]})", "input[0].role"},
      {R"({"input":[{"role":"user","content":5}]})", "input[0].content"},
      {R"({"input":[{"role":"user","content":[{"type":"input_image"}]}]})", "input[0].content[0]"},
      {R"({"input":[{"role":"user","content":"x"},{"type":"computer_call"}]})", "input[1].type"},
      {R"({"input":[{"type":"function_call","name":"f","arguments":"{}"}]})", "input[0].call_id"},
      {R"({"input":[{"type":"function_call_output","call_id":"1"}]})", "input[0].output"},
      {R"({"input":"x","instructions":5})", "instructions"},
      {R"({"input":"x","max_output_tokens":0})", "max_output_tokens"},
      {R"({"input":"x","temperature":9})", "temperature"},
      {R"({"input":"x","model":"other"})", "model"},
      {R"({"input":"x","previous_response_id":"resp_1"})", "previous_response_id"},
      {R"({"input":"x","conversation":"conv_1"})", "conversation"},
      {R"({"input":"x","store":true})", "store"},
      {R"({"input":"x","background":true})", "background"},
      {R"({"input":"x","prompt":{"id":"p"}})", "prompt"},
      {R"({"input":"x","top_logprobs":2})", "top_logprobs"},
      {R"({"input":"x","text":{"format":5}})", "text.format"},
      {R"({"input":"x","text":{"format":{"type":"xml"}}})", "text.format.type"},
      {R"({"input":"x","text":{"format":{"type":"json_schema"}}})", "text.format.schema"},
      {R"({"input":"x","tools":[{"type":"web_search"}]})", "tools[0].type"},
      {R"({"input":"x","tool_choice":"required"})", "tool_choice"}};
  for (const auto& [body, parameter] : cases) {
    const auto parsed = parse_responses_request(json::parse(body), model);
    ASSERT_TRUE(std::holds_alternative<generation_failed>(parsed)) << body;
    EXPECT_EQ(std::get<generation_failed>(parsed).parameter, parameter) << body;
  }
}

} // namespace
} // namespace souffleur
