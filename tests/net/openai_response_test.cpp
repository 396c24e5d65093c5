// What clients are shown, against the events it was made from.
#include "net/openai_response.hpp"

#include "net/json_fields.hpp"
#include "tests/net/random_json.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <limits>
#include <map>
#include <sstream>

namespace souffleur {
namespace {

namespace json = boost::json;
using namespace testing;

struct told {
  int choice = 0;
  generation_event event;
};

struct history {
  openai_call call;
  std::vector<told> events; ///< of all choices, interleaved
  std::vector<std::string> texts;
  std::vector<std::size_t> n_tokens;
  std::vector<finish_reason> reasons; ///< of those that do not fail
  generation_usage usage;             ///< of all choices
};

/// How choices end: all with an answer or a part of one, but for the first perhaps an empty one; or some
/// fail; or all are out of time before their first token.
enum class ending { answered, some_failed, all_empty };

/// Any byte string is some token's.
std::string spelled(token_id token) { return std::string{"\xFF token "} + std::to_string(token); }

generated_token any_token(bool with_logprobs) {
  generated_token token;
  token.id = *rc::gen::inRange(0, 300);
  token.text = *rc::gen::scale(0.1, unicode_text());
  token.bytes = *rc::gen::scale(0.1, broken_text());
  if (with_logprobs) {
    const auto logprob = rc::gen::element(-0.5F, 0.0F, -std::numeric_limits<float>::infinity(), -1e30F,
                                          std::numeric_limits<float>::quiet_NaN());
    token.logprobs = token_logprobs{};
    token.logprobs->chosen = *logprob;
    for (int i = *rc::gen::inRange(0, 3); i > 0; --i)
      token.logprobs->top.emplace_back(i, *logprob);
  }
  return token;
}

history any_history(ending how = ending::answered) {
  history made;
  auto& call = made.call;
  call.chat = *rc::gen::arbitrary<bool>();
  call.stream = true;
  call.include_usage = *rc::gen::arbitrary<bool>();
  call.n_per_prompt = *rc::gen::inRange(1, 4);
  const auto n_prompts = *rc::gen::inRange(1, call.chat ? 2 : 3);
  const auto n = static_cast<std::size_t>(call.n_per_prompt * n_prompts);
  const bool with_logprobs = *rc::gen::arbitrary<bool>();
  std::vector<std::vector<generation_event>> scripts(n);
  made.texts.resize(n);
  made.n_tokens.resize(n);
  for (std::size_t i = 0; i < n; ++i) {
    generation_request request;
    request.sampling.n_logprobs = with_logprobs ? 2 : -1;
    call.generations.push_back(request);
    call.echoes.push_back(!call.chat && !with_logprobs ? *rc::gen::scale(0.1, unicode_text()) : "");
    call.echoed_tokens.emplace_back();
    made.texts[i] = call.echoes[i];
    scripts[i].push_back(generation_accepted{5, i});
    for (int d = *rc::gen::inRange(0, 4); d > 0; --d) {
      generation_delta delta;
      for (int t = *rc::gen::inRange(0, 3); t > 0; --t)
        delta.tokens.push_back(any_token(with_logprobs));
      delta.tail = *rc::gen::element<std::string>("", "tail");
      made.texts[i] += delta.text();
      made.n_tokens[i] += delta.tokens.size();
      scripts[i].push_back(std::move(delta));
    }
    if (how == ending::some_failed && *rc::gen::arbitrary<bool>()) {
      scripts[i].push_back(generation_failed{503, "lost", "gone", "", 1});
      continue;
    }
    generation_finished end;
    end.reason = *rc::gen::element(finish_reason::stop, finish_reason::length, finish_reason::deadline);
    end.usage.n_prompt_tokens = 5 + static_cast<int>(i) / call.n_per_prompt;
    end.usage.n_cached_tokens = *rc::gen::inRange(0, 6);
    end.usage.n_output_tokens = *rc::gen::inRange(i == 0 ? 1 : 0, 50);
    end.usage.n_drafted_tokens = *rc::gen::inRange(0, 50);
    end.usage.n_accepted_tokens = *rc::gen::inRange(0, end.usage.n_drafted_tokens + 1);
    end.usage.n_steps = *rc::gen::inRange(0, 50);
    end.usage.lossy = *rc::gen::element(false, false, true);
    if (how == ending::all_empty) {
      end.reason = finish_reason::deadline;
      end.usage.n_output_tokens = 0;
    }
    made.usage.n_output_tokens += end.usage.n_output_tokens;
    made.usage.n_drafted_tokens += end.usage.n_drafted_tokens;
    made.usage.n_accepted_tokens += end.usage.n_accepted_tokens;
    made.usage.n_steps += end.usage.n_steps;
    made.usage.lossy |= end.usage.lossy;
    made.reasons.push_back(end.reason);
    if (i % static_cast<std::size_t>(call.n_per_prompt) == 0) {
      made.usage.n_prompt_tokens += end.usage.n_prompt_tokens;
      made.usage.n_cached_tokens += end.usage.n_cached_tokens;
    }
    scripts[i].push_back(end);
  }
  std::vector<std::size_t> open;
  for (std::size_t i = 0; i < n; ++i)
    open.push_back(i);
  std::vector<std::size_t> at(n);
  while (!open.empty()) {
    const auto which = *rc::gen::inRange<std::size_t>(0, open.size());
    const auto choice = open[which];
    made.events.push_back({static_cast<int>(choice), scripts[choice][at[choice]++]});
    if (at[choice] == scripts[choice].size())
      open.erase(open.begin() + static_cast<std::ptrdiff_t>(which));
  }
  return made;
}

openai_response response_to(const openai_call& call) {
  return {call, {"id-1", "served", "fp_x", 17}, spelled};
}

/// The chunks of a stream; [DONE] must be the last.
std::vector<json::object> chunks_of(const std::string& events) {
  std::vector<json::object> chunks;
  bool done = false;
  for (std::size_t at = 0; at < events.size();) {
    const auto end = events.find("\n\n", at);
    RC_ASSERT(end != std::string::npos);
    const auto line = events.substr(at, end - at);
    RC_ASSERT(line.starts_with("data: "));
    RC_ASSERT(line.find('\n') == std::string::npos);
    RC_ASSERT(!done);
    done = line == "data: [DONE]";
    if (!done)
      chunks.push_back(json::parse(line.substr(6)).as_object());
    at = end + 2;
  }
  RC_ASSERT(done);
  return chunks;
}

std::size_t n_logprobs_in(const json::value& logprobs) {
  if (logprobs.is_null())
    return 0;
  const auto& object = logprobs.as_object();
  return object.at(object.contains("content") ? "content" : "tokens").as_array().size();
}

/// Planted bugs that it caught: "deadline" as OpenAI's reason; only the first choice's reason in `souffleur`;
/// accepted and drafted tokens exchanged in either object; drafts, steps or lossiness of the last choice
/// alone; cached tokens of each choice; a stream without `souffleur`.
RC_GTEST_PROP(openai_response_law, aStreamSaysWhatTheBodySays, ()) {
  const auto made = any_history();
  auto streamed = response_to(made.call);
  auto collected = response_to(made.call);
  std::string events;
  for (const auto& [choice, event] : made.events) {
    RC_ASSERT(!streamed.ended() && !collected.ended());
    events += streamed.stream(choice, event);
    collected.collect(choice, event);
  }
  RC_ASSERT(streamed.ended() && collected.ended() && !streamed.failure());
  const auto body = json::parse(json::serialize(collected.body())).as_object();
  const auto chunks = chunks_of(events);

  std::map<std::int64_t, std::string> texts;
  std::map<std::int64_t, std::size_t> n_logprobs;
  std::map<std::int64_t, std::string> reasons;
  for (const auto& chunk : chunks) {
    RC_ASSERT(chunk.at("id") == "id-1");
    RC_ASSERT(chunk.contains("usage") == made.call.include_usage);
    if (chunk.at("choices").as_array().empty()) {
      RC_ASSERT(made.call.include_usage);
      RC_ASSERT(&chunk == &chunks.back());
      RC_ASSERT(chunk.at("usage") == body.at("usage"));
      RC_ASSERT(chunk.at("souffleur") == body.at("souffleur"));
      continue;
    }
    RC_ASSERT((!chunk.contains("usage") || chunk.at("usage").is_null()));
    const auto& choice = chunk.at("choices").at(0).as_object();
    const auto index = choice.at("index").to_number<std::int64_t>();
    RC_ASSERT(reasons.count(index) == 0U); // nothing after the end
    if (!made.call.chat)
      texts[index] += choice.at("text").as_string();
    else if (const auto* text = choice.at("delta").as_object().if_contains("content"))
      texts[index] += text->as_string();
    n_logprobs[index] += n_logprobs_in(choice.at("logprobs"));
    if (choice.at("finish_reason").is_null())
      continue;
    reasons[index] = std::string{choice.at("finish_reason").as_string()};
    const bool late = made.call.generations.size() == 1 && made.reasons[0] == finish_reason::deadline;
    if (late) {
      RC_ASSERT(chunk.at("souffleur").at("finish_reason") == "deadline");
      RC_ASSERT(chunk.at("souffleur").at("usage") == body.at("usage"));
    }
  }
  RC_ASSERT((!chunks.empty() && chunks.back().at("choices").as_array().empty() == made.call.include_usage));

  const auto& choices = body.at("choices").as_array();
  RC_ASSERT(choices.size() == made.texts.size());
  const bool with_logprobs = made.call.generations[0].sampling.n_logprobs >= 0;
  for (std::size_t i = 0; i < choices.size(); ++i) {
    const auto& choice = choices[i].as_object();
    const auto index = static_cast<std::int64_t>(i);
    const auto& text = made.call.chat ? choice.at("message").at("content") : choice.at("text");
    RC_ASSERT(std::string{text.as_string()} == made.texts[i]);
    RC_ASSERT(texts[index] == made.texts[i]);
    RC_ASSERT(std::string{choice.at("finish_reason").as_string()} == reasons[index]);
    RC_ASSERT(n_logprobs[index] == (with_logprobs ? made.n_tokens[i] : 0U));
    RC_ASSERT(n_logprobs_in(choice.at("logprobs")) == (with_logprobs ? made.n_tokens[i] : 0U));
    RC_ASSERT(body.at("souffleur").at("seeds").at(i) == index);
    const bool late = made.reasons[i] == finish_reason::deadline;
    RC_ASSERT(body.at("souffleur").at("finish_reasons").at(i) == to_string(made.reasons[i]));
    RC_ASSERT(reasons[index] == (late ? "length" : to_string(made.reasons[i])));
  }
  const auto& usage = body.at("usage");
  RC_ASSERT(usage.at("prompt_tokens") == made.usage.n_prompt_tokens);
  RC_ASSERT(usage.at("completion_tokens") == made.usage.n_output_tokens);
  RC_ASSERT(usage.at("total_tokens") == made.usage.n_prompt_tokens + made.usage.n_output_tokens);
  RC_ASSERT(usage.at("prompt_tokens_details").at("cached_tokens") == made.usage.n_cached_tokens);
  const auto& details = usage.at("completion_tokens_details");
  RC_ASSERT(details.at("accepted_prediction_tokens") == made.usage.n_accepted_tokens);
  RC_ASSERT(details.at("rejected_prediction_tokens") ==
            made.usage.n_drafted_tokens - made.usage.n_accepted_tokens);
  const auto& drafts = body.at("souffleur").at("speculation");
  RC_ASSERT(drafts.at("drafted_tokens") == made.usage.n_drafted_tokens);
  RC_ASSERT(drafts.at("accepted_tokens") == made.usage.n_accepted_tokens);
  RC_ASSERT(drafts.at("steps") == made.usage.n_steps);
  RC_ASSERT(drafts.at("lossy") == made.usage.lossy);
}

RC_GTEST_PROP(openai_response_law, textOffsetsOfAStreamAreThoseOfTheBody, ()) {
  const auto made = any_history();
  RC_PRE(!made.call.chat && made.call.generations[0].sampling.n_logprobs >= 0);
  auto streamed = response_to(made.call);
  auto collected = response_to(made.call);
  std::vector<json::array> offsets(made.texts.size());
  for (const auto& [choice, event] : made.events) {
    auto events = streamed.stream(choice, event);
    collected.collect(choice, event);
    if (!std::holds_alternative<generation_delta>(event) || events.empty())
      continue;
    const auto chunk = json::parse(events.substr(6));
    for (const auto& offset : chunk.at("choices").at(0).at("logprobs").at("text_offset").as_array())
      offsets[static_cast<std::size_t>(choice)].push_back(offset);
  }
  const auto body = json::parse(json::serialize(collected.body()));
  for (std::size_t i = 0; i < offsets.size(); ++i)
    RC_ASSERT(body.at("choices").at(i).at("logprobs").at("text_offset") == offsets[i]);
}

RC_GTEST_PROP(openai_response_law, aFailureIsToldAndEndsItsChoice, ()) {
  const auto made = any_history(ending::some_failed);
  auto streamed = response_to(made.call);
  std::string events;
  std::size_t n_failed = 0;
  for (const auto& [choice, event] : made.events) {
    events += streamed.stream(choice, event);
    n_failed += std::holds_alternative<generation_failed>(event) ? 1U : 0U;
    RC_ASSERT(streamed.failure().has_value() == (n_failed > 0));
  }
  RC_ASSERT(streamed.ended());
  std::size_t n_errors = 0;
  std::size_t n_finished = 0;
  for (const auto& chunk : chunks_of(events)) {
    n_errors += chunk.contains("error") ? 1U : 0U;
    if (chunk.contains("choices") && !chunk.at("choices").as_array().empty())
      n_finished += chunk.at("choices").at(0).at("finish_reason").is_null() ? 0U : 1U;
  }
  RC_ASSERT(n_errors == n_failed);
  RC_ASSERT(n_finished + n_failed == made.texts.size());
}

/// Planted bugs that it caught: a call that fails with its first empty choice; an empty answer instead of an
/// error; 504 although the client set the time.
RC_GTEST_PROP(openai_response_law, aCallFailsIfNothingWasMadeInTime, ()) {
  auto made = any_history(ending::all_empty);
  const bool own = *rc::gen::arbitrary<bool>();
  for (auto& request : made.call.generations)
    request.timeout = std::chrono::milliseconds{own ? 5 : 0};
  auto streamed = response_to(made.call);
  auto collected = response_to(made.call);
  std::string events;
  for (const auto& [choice, event] : made.events) {
    RC_ASSERT(!streamed.failure() && !collected.failure());
    events += streamed.stream(choice, event);
    collected.collect(choice, event);
  }
  RC_ASSERT(collected.failure()->status == (own ? 408 : 504));
  RC_ASSERT(collected.failure()->code == "deadline_exceeded");
  RC_ASSERT(streamed.failure()->status == collected.failure()->status);
  int n_errors = 0;
  for (const auto& chunk : chunks_of(events))
    n_errors += chunk.contains("error") ? 1 : 0;
  RC_ASSERT(n_errors == 1);
}

openai_call one_choice(bool chat) {
  openai_call call;
  call.chat = chat;
  call.generations.resize(1);
  call.generations[0].sampling.n_logprobs = 1;
  call.echoes.resize(1);
  call.echoed_tokens.resize(1);
  return call;
}

generation_delta impossible_token() {
  generation_delta delta;
  generated_token token{7, token_origin::model, "\xE2\x82", "", token_logprobs{}};
  token.logprobs->chosen = -std::numeric_limits<float>::infinity();
  token.logprobs->top = {{9, -std::numeric_limits<float>::infinity()}};
  delta.tokens.push_back(token);
  return delta;
}

TEST(openai_response, impossibleTokensAndBrokenBytesAreShownInChatLogprobs) {
  auto response = response_to(one_choice(true));
  response.collect(0, impossible_token());
  response.collect(0, generation_finished{});
  const auto body = response.body();
  const auto& shown = body.at("choices").at(0).at("logprobs").at("content").at(0);
  EXPECT_EQ(shown.at("logprob"), -9999.0);
  EXPECT_EQ(shown.at("token"), "\xEF\xBF\xBD");
  EXPECT_EQ(shown.at("bytes"), (json::array{0xE2, 0x82}));
  EXPECT_EQ(shown.at("top_logprobs").at(0).at("logprob"), -9999.0);
  EXPECT_EQ(shown.at("top_logprobs").at(0).at("token"), "\xEF\xBF\xBD token 9");
}

TEST(openai_response, impossibleTokensAndBrokenBytesAreShownInCompletionLogprobs) {
  auto response = response_to(one_choice(false));
  response.collect(0, impossible_token());
  response.collect(0, generation_finished{});
  const auto body = response.body();
  const auto& shown = body.at("choices").at(0).at("logprobs");
  EXPECT_EQ(shown.at("token_logprobs").at(0), -9999.0);
  EXPECT_EQ(shown.at("tokens").at(0), "\xEF\xBF\xBD");
  EXPECT_EQ(shown.at("top_logprobs").at(0).at("\xEF\xBF\xBD token 9"), -9999.0);
}

TEST(openai_response, tokensThatWereGivenAreEchoedAsText) {
  auto call = one_choice(false);
  call.generations[0].sampling.n_logprobs = -1;
  call.echoed_tokens[0] = {1, 2};
  auto response = response_to(call);
  response.collect(0, generation_finished{});
  EXPECT_EQ(response.body().at("choices").at(0).at("text").as_string(),
            json::string(valid_utf8(spelled(1) + spelled(2))));
}

TEST(openai_response, errorsHaveTheTypeOfTheirStatus) {
  const auto type_of = [](int status) {
    return std::string{error_object({status, "", "m", "", 0}).at("type").as_string()};
  };
  EXPECT_EQ(type_of(400), "invalid_request_error");
  EXPECT_EQ(type_of(404), "invalid_request_error");
  EXPECT_EQ(type_of(429), "rate_limit_error");
  EXPECT_EQ(type_of(500), "server_error");
  EXPECT_EQ(type_of(503), "server_error");
  const auto error = error_object({400, "", "broken \xFF", "", 0});
  EXPECT_TRUE(error.at("param").is_null());
  EXPECT_TRUE(error.at("code").is_null());
  EXPECT_EQ(error.at("message"), "broken \xEF\xBF\xBD");
}

TEST(openai_response, timingsOfAnEmptyAnswerAreNumbers) {
  EXPECT_EQ(timings_object({}).at("tokens_per_second"), 0.0);
  generation_usage usage;
  usage.decode_ms = 1000;
  EXPECT_EQ(timings_object(usage).at("tokens_per_second"), 0.0);
  usage.n_output_tokens = 11;
  EXPECT_EQ(timings_object(usage).at("tokens_per_second"), 10.0);
}

/// What one choice of a chat with tools says, streamed (the deltas joined) and at once.
json::object told_with_tools(const std::string& text, bool parallel, bool streamed) {
  openai_call call;
  call.chat = true;
  call.has_tools = true;
  call.parallel_tool_calls = parallel;
  call.generations.resize(1);
  call.echoes.resize(1);
  call.echoed_tokens.resize(1);
  openai_response response{call, {"chatcmpl-1", "m", "f", 1}, spelled};
  std::vector<generation_event> events{generation_accepted{1, 1}};
  for (const char letter : text)
    events.push_back(
        generation_delta{{{1, token_origin::model, std::string{letter}, std::string{letter}, {}}}, "", {}});
  events.push_back(generation_finished{finish_reason::stop, "", {}});
  json::object joined{{"content", ""}, {"tool_calls", json::array{}}};
  for (const auto& event : events) {
    if (!streamed) {
      response.collect(0, event);
      continue;
    }
    std::istringstream chunks{response.stream(0, event)};
    for (std::string line; std::getline(chunks, line);) {
      if (!line.starts_with("data: {"))
        continue;
      const auto choice = json::parse(line.substr(6)).at("choices").at(0);
      const auto& delta = choice.at("delta").as_object();
      if (const auto* content = delta.if_contains("content"))
        joined["content"].as_string() += content->as_string();
      if (const auto* calls = delta.if_contains("tool_calls"))
        for (auto one : calls->as_array()) {
          EXPECT_EQ(one.at("index"), joined["tool_calls"].as_array().size());
          one.as_object().erase("index");
          joined["tool_calls"].as_array().push_back(one);
        }
      joined["finish_reason"] = choice.at("finish_reason");
    }
  }
  if (streamed)
    return joined;
  const auto choice = response.body().at("choices").at(0);
  auto message = choice.at("message").as_object();
  return {{"content", message["content"].is_null() ? "" : message["content"]},
          {"tool_calls", message.contains("tool_calls") ? message["tool_calls"] : json::array{}},
          {"finish_reason", choice.at("finish_reason")}};
}

TEST(openai_response, callsOfFunctionsAreTakenOutOfTheText) {
  const std::string call = "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": 1}}\n</tool_call>";
  for (const bool streamed : {false, true}) {
    auto told = told_with_tools("So:\n" + call + "\n" + call, true, streamed);
    EXPECT_EQ(told["content"], "So:");
    EXPECT_EQ(told["finish_reason"], "tool_calls");
    ASSERT_EQ(told["tool_calls"].as_array().size(), 2U);
    const auto& second = told["tool_calls"].at(1);
    EXPECT_EQ(second.at("function").at("arguments"), R"({"a":1})");
    EXPECT_NE(second.at("id"), told["tool_calls"].at(0).at("id"));
    told = told_with_tools(call + "\n" + call, false, streamed);
    EXPECT_EQ(told["tool_calls"].as_array().size(), 1U) << "not parallel";
    told = told_with_tools("just words <tool", true, streamed);
    EXPECT_EQ(told["content"], "just words <tool");
    EXPECT_EQ(told["finish_reason"], "stop");
    EXPECT_EQ(told["tool_calls"].as_array().size(), 0U);
  }
}

} // namespace
} // namespace souffleur
