// What clients of the Responses endpoint are shown, against the events it was made from.
#include "net/responses_answer.hpp"

#include "tests/net/random_json.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <sstream>

namespace souffleur {
namespace {

namespace json = boost::json;
using namespace testing;

openai_call a_call(bool has_tools = false) {
  openai_call call;
  call.chat = true;
  call.stream = true;
  call.has_tools = has_tools;
  call.generations.emplace_back();
  call.echoes.emplace_back();
  call.echoed_tokens.emplace_back();
  call.responses = json::object{{"temperature", 1.0}};
  return call;
}

responses_answer answer_to(const openai_call& call) {
  return {call, {"resp_1", "served", "fp", 1}, [](token_id) { return std::string{}; }};
}

generation_delta delta_of(const std::string& text) {
  generation_delta delta;
  delta.tokens.push_back({1, token_origin::model, text, text, {}});
  return delta;
}

std::vector<json::object> events_of(const std::string& text) {
  std::vector<json::object> events;
  std::istringstream lines{text};
  std::string name;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("event: "))
      name = line.substr(7);
    if (!line.starts_with("data: "))
      continue;
    events.push_back(json::parse(line.substr(6)).as_object());
    EXPECT_EQ(events.back().at("type"), json::string_view{name});
  }
  return events;
}

struct shown {
  std::vector<json::object> events;
  json::object body; ///< of the same answer, not streamed
};

shown play(const openai_call& call, const std::vector<generation_event>& told) {
  shown all;
  auto streamed = answer_to(call);
  auto collected = answer_to(call);
  for (const auto& event : told) {
    for (auto& one : events_of(streamed.stream(0, event)))
      all.events.push_back(std::move(one));
    collected.collect(0, event);
  }
  all.body = collected.body();
  return all;
}

std::vector<std::string> types_of(const std::vector<json::object>& events) {
  std::vector<std::string> types;
  for (const auto& event : events)
    types.emplace_back(event.at("type").as_string());
  return types;
}

generation_finished finished(finish_reason reason = finish_reason::stop) {
  generation_finished end;
  end.reason = reason;
  end.usage.n_prompt_tokens = 5;
  end.usage.n_cached_tokens = 2;
  end.usage.n_output_tokens = 3;
  end.usage.n_thought_tokens = 1;
  return end;
}

TEST(ResponsesAnswer, AMessageHasTheEventsThatClientsWaitFor) {
  const auto all = play(a_call(), {generation_accepted{5, 1}, delta_of("He"), delta_of("llo"), finished()});
  EXPECT_EQ(types_of(all.events),
            (std::vector<std::string>{"response.created", "response.in_progress",
                                      "response.output_item.added", "response.content_part.added",
                                      "response.output_text.delta", "response.output_text.delta",
                                      "response.output_text.done", "response.content_part.done",
                                      "response.output_item.done", "response.completed"}));
  EXPECT_EQ(all.events[0].at("response").at("status"), "in_progress");
  EXPECT_EQ(all.events[0].at("response").at("usage"), nullptr);
  EXPECT_EQ(all.events[6].at("text"), "Hello");
  EXPECT_EQ(all.events.back().at("response").at("usage"),
            json::parse(R"({"input_tokens":5,"input_tokens_details":{"cached_tokens":2},"output_tokens":3,
                            "output_tokens_details":{"reasoning_tokens":1},"total_tokens":8})"));
}

TEST(ResponsesAnswer, APartOfAnAnswerIsIncomplete) {
  const auto all =
      play(a_call(), {generation_accepted{5, 1}, delta_of("He"), finished(finish_reason::length)});
  EXPECT_EQ(all.events.back().at("type"), "response.incomplete");
  EXPECT_EQ(all.body.at("status"), "incomplete");
  EXPECT_EQ(all.body.at("incomplete_details").at("reason"), "max_output_tokens");
}

TEST(ResponsesAnswer, AFailureUnderWayIsTheLastEvent) {
  const auto all = play(a_call(), {generation_accepted{5, 1}, delta_of("He"),
                                   generation_failed{500, "step_failed", "It broke.", "", 0}});
  EXPECT_EQ(all.events.back().at("type"), "response.failed");
  EXPECT_EQ(all.events.back().at("response").at("error").at("message"), "It broke.");
}

TEST(ResponsesAnswer, CallsAreItemsBehindTheText) {
  const auto all =
      play(a_call(true), {generation_accepted{5, 1}, delta_of("Let me see. <tool_call>{\"name\":\"f\","),
                          delta_of("\"arguments\":{\"a\":1}}</tool_call>"), finished()});
  const auto& output = all.body.at("output").as_array();
  ASSERT_EQ(output.size(), 2U);
  EXPECT_EQ(output[0].at("content").at(0).at("text"), "Let me see.");
  EXPECT_EQ(output[1].at("type"), "function_call");
  EXPECT_EQ(output[1].at("name"), "f");
  EXPECT_EQ(json::parse(output[1].at("arguments").as_string()), json::parse(R"({"a":1})"));
  EXPECT_EQ(all.body.at("status"), "completed");
}

TEST(ResponsesAnswer, OneCallWhereTheyAreNotParallel) {
  auto call = a_call(true);
  call.parallel_tool_calls = false;
  const std::string one = R"(<tool_call>{"name":"f","arguments":{}}</tool_call>)";
  const auto all = play(call, {generation_accepted{5, 1}, delta_of(one + one), finished()});
  EXPECT_EQ(all.body.at("output").as_array().size(), 1U);
}

TEST(ResponsesAnswer, AnAnswerWithoutAWordIsAnEmptyMessage) {
  const auto all = play(a_call(), {generation_accepted{5, 1}, finished()});
  EXPECT_EQ(all.body.at("output").at(0).at("content").at(0).at("text"), "");
}

/// A client that builds the answer from events has what a client that waits gets.
RC_GTEST_PROP(ResponsesAnswer, EventsAddUpToTheBody, ()) {
  const bool has_tools = *rc::gen::arbitrary<bool>();
  std::vector<generation_event> told{generation_accepted{5, 1}};
  std::string said;
  for (int n = *rc::gen::inRange(0, 6); n > 0; --n) {
    const auto part = *rc::gen::oneOf(
        rc::gen::scale(0.1, unicode_text()),
        rc::gen::just<std::string>(R"(<tool_call>{"name":"f","arguments":{"x":1}}</tool_call>)"));
    said += part;
    told.push_back(delta_of(part));
  }
  told.emplace_back(finished(*rc::gen::element(finish_reason::stop, finish_reason::length)));
  const auto all = play(a_call(has_tools), told);
  json::array built;
  for (std::size_t i = 0; i < all.events.size(); ++i) {
    const auto& event = all.events[i];
    const auto type = std::string{event.at("type").as_string()};
    RC_ASSERT(event.at("sequence_number") == i);
    if (type == "response.output_item.added") {
      RC_ASSERT(event.at("output_index") == built.size());
      built.push_back(event.at("item"));
    }
    if (!event.contains("item_id"))
      continue;
    auto& item = built.at(event.at("output_index").to_number<std::size_t>()).as_object();
    RC_ASSERT(event.at("item_id") == item.at("id"));
    if (type == "response.content_part.added")
      item["content"].as_array().push_back(event.at("part"));
    if (type == "response.output_text.delta")
      item["content"].at(0).at("text").as_string() += event.at("delta").as_string();
    if (type == "response.function_call_arguments.delta")
      item["arguments"].as_string() += event.at("delta").as_string();
  }
  for (auto& item : built)
    item.as_object()["status"] = "completed";
  RC_ASSERT(built == all.body.at("output").as_array());
  RC_ASSERT(all.events.back().at("response") == all.body);
  if (!has_tools)
    RC_ASSERT(built.at(0).at("content").at(0).at("text") == json::string_view{said});
}

} // namespace
} // namespace souffleur
