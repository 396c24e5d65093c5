// From OpenAI's JSON to generation requests: every field, its range, and what becomes of it.
#include "net/openai_request.hpp"

#include "tests/net/random_json.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value_from.hpp>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

namespace souffleur {
namespace {

namespace json = boost::json;
using namespace testing;

using outcome = std::variant<openai_call, generation_failed>;

json::object minimal(bool chat) {
  if (chat)
    return {{"messages", json::array{json::object{{"role", "user"}, {"content", "hi"}}}}};
  return {{"prompt", "hi"}};
}

outcome parse_with(bool chat, const json::object& extra) {
  auto body = minimal(chat);
  for (const auto& [name, value] : extra)
    body[name] = value;
  return parse_openai_request(chat ? openai_endpoint::chat_completions : openai_endpoint::completions, body,
                              "served");
}

openai_call call_of(bool chat, const std::string& extra) {
  auto parsed = parse_with(chat, json::parse(extra).as_object());
  if (const auto* failed = std::get_if<generation_failed>(&parsed)) {
    ADD_FAILURE() << extra << ": " << failed->message;
    return {};
  }
  return std::get<openai_call>(parsed);
}

generation_failed error_of(bool chat, const json::object& extra) {
  const auto parsed = parse_with(chat, extra);
  if (const auto* failed = std::get_if<generation_failed>(&parsed))
    return *failed;
  return {0, "", "", "", 0};
}

struct wrong_field {
  const char* name;  ///< also of the error's parameter, unless `parameter` is given
  std::string value; ///< JSON
  const char* parameter = nullptr;
};

/// `n` times the same, with commas between them.
std::string many(const std::string& one, int n) {
  std::string all = one;
  for (int i = 1; i < n; ++i)
    all += "," + one;
  return all;
}

/// A bias of each of so many tokens.
std::string biases(int n) {
  std::string all = "{";
  for (int i = 0; i < n; ++i)
    all += (i == 0 ? "\"" : ",\"") + std::to_string(i) + "\":1";
  return all + "}";
}

void expect_complaints(bool chat, const std::vector<wrong_field>& fields) {
  for (const auto& [name, value, parameter] : fields) {
    const auto error = error_of(chat, {{name, json::parse(value)}});
    EXPECT_EQ(error.status, 400) << name << " " << value;
    const std::string named = parameter == nullptr ? name : parameter;
    EXPECT_EQ(error.parameter, named) << value;
    EXPECT_NE(error.message.find(named), std::string::npos) << error.message;
    EXPECT_FALSE(error.code.empty());
  }
}

TEST(openai_request, aWrongFieldIsNamed) {
  const std::vector<wrong_field> wrong{
      {"temperature", "-0.1"},
      {"temperature", "2.1"},
      {"temperature", "\"1\""},
      {"top_p", "0"},
      {"top_p", "1.01"},
      {"top_p", "1e-60"},
      {"top_p", "[]"},
      {"min_p", "-1"},
      {"min_p", "2"},
      {"presence_penalty", "2.5"},
      {"presence_penalty", "-2.5"},
      {"frequency_penalty", "2.5"},
      {"frequency_penalty", "{}"},
      {"repetition_penalty", "0"},
      {"repetition_penalty", "1e-60"},
      {"repetition_penalty", "101"},
      {"top_k", "-2"},
      {"top_k", "1.5"},
      {"top_k", "2147483648"},
      {"ignore_eos", "1"},
      {"min_tokens", "-1"},
      {"max_tokens", "0"},
      {"max_tokens", "2147483648"},
      {"max_tokens", "\"7\""},
      {"n", "0"},
      {"n", "33"},
      {"n", "1.5"},
      {"seed", "18446744073709551615"},
      {"seed", "1.5"},
      {"seed", "\"1\""},
      {"stop", "1"},
      {"stop", "[1]"},
      {"stop", "\"\""},
      {"stop", "[\"a\",\"\"]"},
      {"stop",
       "[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\",\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\","
       "\"h\"]"},
      {"stop_token_ids", "1"},
      {"stop_token_ids", "[-1]"},
      {"stop_token_ids", "[\"1\"]"},
      {"stop_token_ids", "[4294967296]"},
      {"stop_token_ids", "[" + many("1", 1025) + "]"},
      {"stop", "\"" + std::string(1025, 'x') + "\""},
      {"logit_bias", biases(1025)},
      {"logit_bias", "[]"},
      {"logit_bias", R"({"x":1})"},
      {"logit_bias", R"({"":1})"},
      {"logit_bias", R"({"-1":1})"},
      {"logit_bias", R"({"1x":1})"},
      {"logit_bias", R"({"99999999999":1})"},
      {"logit_bias", R"({"1":101})"},
      {"logit_bias", R"({"1":"1"})"},
      {"stream", "\"yes\""},
      {"stream_options", "{}"},
      {"stream_options", "7"},
      {"stream_options", R"({"include_usage":1})", "stream_options.include_usage"},
      {"model", "7"},
      {"response_format", "\"json\""},
      {"response_format", R"({"type":"yaml"})", "response_format.type"},
      {"response_format", "{}", "response_format.type"},
      {"response_format", R"({"type":"json_schema"})", "response_format.json_schema.schema"},
      {"guided_regex", "7"},
      {"grammar", "{}"},
      {"structured_outputs", R"({"regex":7})", "structured_outputs.regex"},
      {"structured_outputs", R"({"structural_tag":{}})", "structured_outputs.structural_tag"},
      {"souffleur", "[]"},
      {"souffleur", R"({"priority":101})", "souffleur.priority"},
      {"souffleur", R"({"priority":"x"})", "souffleur.priority"},
      {"souffleur", R"({"cache":{"threshold":1.5}})", "souffleur.cache.threshold"},
      {"souffleur", R"({"cache":{"max_error":-0.1}})", "souffleur.cache.max_error"},
      {"souffleur", R"({"cache":{"ttl_s":-1}})", "souffleur.cache.ttl_s"},
      {"souffleur", R"({"cache":{"replay_tokens_per_s":-1}})", "souffleur.cache.replay_tokens_per_s"},
      {"souffleur", R"({"cache_priority":101})", "souffleur.cache_priority"},
      {"souffleur", R"({"cache_priority":-1})", "souffleur.cache_priority"},
      {"souffleur", R"({"cache_priority":"high"})", "souffleur.cache_priority"},
      {"souffleur", R"({"cache_priority":[]})", "souffleur.cache_priority"},
      {"souffleur", R"({"cache_priority":1,"cache_ttl_s":0})", "souffleur.cache_ttl_s"},
      {"souffleur", R"({"cache_priority":1,"cache_ttl_s":604801})", "souffleur.cache_ttl_s"},
      {"souffleur", R"({"cache_priority":1,"cache_ttl_s":"1h"})", "souffleur.cache_ttl_s"},
      {"souffleur", R"({"cache_ttl_s":60})", "souffleur.cache_ttl_s"},
      {"souffleur", R"({"timeout_ms":0})", "souffleur.timeout_ms"},
      {"souffleur", R"({"trace":1})", "souffleur.trace"},
      {"souffleur", R"({"timeout_ms":86400001})", "souffleur.timeout_ms"},
      {"souffleur", R"({"speculation":1})", "souffleur.speculation"},
      {"souffleur", R"({"speculation":{"max_draft":65}})", "souffleur.speculation.max_draft"},
      {"souffleur", R"({"speculation":{"branches":0}})", "souffleur.speculation.branches"},
      {"souffleur", R"({"speculation":{"enabled":1}})", "souffleur.speculation.enabled"},
      {"souffleur", R"({"speculation":{"policy":1}})", "souffleur.speculation.policy"},
      {"souffleur", R"({"speculation":{"drafter":[]}})", "souffleur.speculation.drafter"},
      {"souffleur", R"({"speculation":{"acceptance":{}}})", "souffleur.speculation.acceptance"},
      {"prediction", "\"hi\""},
      {"prediction", R"({"content":"hi"})", "prediction.type"},
      {"prediction", R"({"type":7,"content":"hi"})", "prediction.type"},
      {"prediction", R"({"type":"text","content":"hi"})", "prediction.type"},
      {"prediction", R"({"type":"content"})", "prediction.content"},
      {"prediction", R"({"type":"content","content":7})", "prediction.content"},
      {"prediction", R"({"type":"content","content":["hi"]})", "prediction.content"},
      {"prediction", R"({"type":"content","content":[{"type":"text"}]})", "prediction.content"},
      {"prediction", R"({"type":"content","content":[{"type":"image_url","text":"hi"}]})",
       "prediction.content"},
      {"souffleur", R"({"cache":"off"})", "souffleur.cache"},
      {"souffleur", R"({"cache":{"mode":"maybe"}})", "souffleur.cache.mode"},
      {"souffleur", R"({"cache":{"refresh":1}})", "souffleur.cache.refresh"},
      {"souffleur", R"({"cache":{"mode":1}})", "souffleur.cache.mode"}};
  for (const bool chat : {false, true})
    expect_complaints(chat, wrong);
}

TEST(openai_request, aWrongChatFieldIsNamed) {
  expect_complaints(
      true, {{"messages", "\"hi\""},
             {"messages", "[]"},
             {"messages", "null"},
             {"messages", "[7]", "messages[0]"},
             {"messages", R"([{"role":"user"},{"content":"x"}])", "messages[1].role"},
             {"messages", R"([{"role":7}])", "messages[0].role"},
             {"messages", R"([{"role":"user","content":7}])", "messages[0].content"},
             {"messages", R"([{"role":"user","content":["x"]}])", "messages[0].content[0].type"},
             {"messages", R"([{"role":"user","content":[{"text":"x"}]}])", "messages[0].content[0].type"},
             {"messages", R"([{"role":"user","content":[{"type":"text","text":"x"},{"type":"image_url"}]}])",
              "messages[0].content[1].type"},
             {"messages", R"([{"role":"user","content":[{"type":"text"}]}])", "messages[0].content[0].text"},
             {"tools", "{}"},
             {"tools", "[7]", "tools[0].type"},
             {"tools", R"([{"type":"function"}])", "tools[0].function"},
             {"tools", R"([{"type":"function","function":{"name":"a b"}}])", "tools[0].function.name"},
             {"tools", R"([{"type":"function","function":{"name":"a","parameters":7}}])",
              "tools[0].function.parameters"},
             {"tool_choice", "\"required\""},
             {"tool_choice", "{}"},
             {"parallel_tool_calls", "7"},
             {"logprobs", "1"},
             {"top_logprobs", "1"},
             {"top_logprobs", "0"},
             {"max_completion_tokens", "0"}});
  EXPECT_EQ(error_of(true, {{"logprobs", true}, {"top_logprobs", 21}}).parameter, "top_logprobs");
}

TEST(openai_request, aWrongCompletionFieldIsNamed) {
  expect_complaints(false, {{"prompt", "null"},
                            {"prompt", "7"},
                            {"prompt", "{}"},
                            {"prompt", "[]"},
                            {"prompt", "[true]"},
                            {"prompt", "[null]"},
                            {"prompt", "[1,\"x\"]"},
                            {"prompt", "[\"x\",1]"},
                            {"prompt", "[[1],[\"x\"]]"},
                            {"prompt", "[-1]"},
                            {"logprobs", "true"},
                            {"logprobs", "21"},
                            {"logprobs", "-1"},
                            {"suffix", "\"x\""},
                            {"best_of", "2"},
                            {"echo", "1"}});
  EXPECT_EQ(error_of(false, {{"echo", true}, {"logprobs", 0}}).parameter, "echo");
  EXPECT_EQ(error_of(false, {{"prompt", {"a", "b", "c"}}, {"n", 11}}).parameter, "prompt");
}

TEST(openai_request, anotherModelIsNotFound) {
  for (const bool chat : {false, true}) {
    const auto error = error_of(chat, {{"model", "other"}});
    EXPECT_EQ(error.status, 404);
    EXPECT_EQ(error.parameter, "model");
    EXPECT_EQ(error_of(chat, {{"model", "served"}}).status, 0);
  }
}

TEST(openai_request, unknownFieldsAndNullsAreIgnored) {
  json::object nothing{{"user", "me"}, {"metadata", {{"a", 1}}}, {"parallel_tool_calls", true}};
  for (const auto* name : {"temperature", "top_p", "n", "stop", "seed", "logit_bias", "stream",
                           "stream_options", "model", "max_tokens", "logprobs", "souffleur",
                           "response_format", "tool_choice", "suffix", "best_of", "tools"})
    nothing[name] = nullptr;
  for (const bool chat : {false, true}) {
    const auto parsed = parse_with(chat, nothing);
    ASSERT_TRUE(std::holds_alternative<openai_call>(parsed));
    const auto& call = std::get<openai_call>(parsed);
    ASSERT_EQ(call.generations.size(), 1U);
    const auto& request = call.generations[0];
    EXPECT_FALSE(request.max_tokens_given);
    EXPECT_FALSE(request.seed_given);
    EXPECT_EQ(request.sampling.temperature, 1.0F);
    EXPECT_EQ(request.sampling.n_logprobs, -1);
  }
}

TEST(openai_request, contentPartsBecomeOneString) {
  const auto call = call_of(true, R"({"messages":[{"role":"system"},{"role":"user","name":"me","content":
      [{"type":"text","text":"one "},{"type":"text","text":"two"}]},{"role":"assistant","content":null}]})");
  const auto& messages = std::get<chat_prompt>(call.generations.at(0).prompt).messages;
  EXPECT_EQ(messages.at(1).at("content"), "one two");
  EXPECT_EQ(messages.at(1).at("name"), "me");
  EXPECT_TRUE(messages.at(2).at("content").is_null());
}

TEST(openai_request, toolsReachThePromptUnlessTheyAreSwitchedOff) {
  const auto tools_of = [](const std::string& extra) {
    return std::get<chat_prompt>(call_of(true, extra).generations.at(0).prompt).tools.size();
  };
  const std::string tools = R"({"tools":[{"type":"function","function":{"name":"f"}}])";
  EXPECT_EQ(tools_of(tools + "}"), 1U);
  EXPECT_EQ(tools_of(tools + R"(,"tool_choice":"auto"})"), 1U);
  EXPECT_EQ(tools_of(tools + R"(,"tool_choice":"none"})"), 0U);
}

TEST(openai_request, callsThatAreRequiredOrStrictHaveAForm) {
  const auto output_of = [](const std::string& function, const std::string& more) {
    return call_of(true, R"({"tools":[{"type":"function","function":)" + function +
                             R"(},{"type":"function","function":{"name":"g"}}])" + more + "}")
        .generations.at(0)
        .output;
  };
  const std::string f = R"({"name":"f","description":"d","parameters":{"type":"object"}})";
  EXPECT_FALSE(output_of(f, ""));
  EXPECT_FALSE(output_of(f, R"(,"tool_choice":"auto")"));
  const auto required = output_of(f, R"(,"tool_choice":"required","parallel_tool_calls":false)");
  ASSERT_TRUE(required);
  EXPECT_EQ(required->grammar.in, grammar::language::tool_calls);
  EXPECT_EQ(
      required->grammar.source,
      R"({"functions":[{"name":"f","parameters":{"type":"object"}},{"name":"g"}],"parallel":false,"required":true})");
  EXPECT_EQ(output_of(f, R"(,"tool_choice":{"type":"function","function":{"name":"g"}})")->grammar.source,
            R"({"functions":[{"name":"g"}],"parallel":false,"required":true})");
  EXPECT_EQ(output_of(R"({"name":"f","strict":true})", "")->grammar.source,
            R"({"functions":[{"name":"f","strict":true},{"name":"g"}],"parallel":true,"required":false})");
}

TEST(openai_request, anAnswerHasTheFormThatOneOfTheWordsSays) {
  using grammar::language;
  struct word {
    const char* request;
    language in;
    const char* source;
    const char* parameter;
  };
  for (
      const auto& [request, in, source, parameter] : std::vector<word>{
          {R"({"response_format":{"type":"json_object"}})", language::json_object, "", "response_format"},
          {R"({"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{"type":"null"}}}})",
           language::json_schema, R"({"type":"null"})", "response_format.json_schema.schema"},
          {R"({"guided_json":{"type":"null"}})", language::json_schema, R"({"type":"null"})", "guided_json"},
          {R"({"guided_json":"{}"})", language::json_schema, "{}", "guided_json"},
          {R"({"guided_regex":"a+"})", language::regex, "a+", "guided_regex"},
          {R"({"guided_choice":["a","b"]})", language::choice, R"(["a","b"])", "guided_choice"},
          {R"({"guided_grammar":"root ::= x"})", language::gbnf, "root ::= x", "guided_grammar"},
          {R"({"grammar":"root ::= x"})", language::gbnf, "root ::= x", "grammar"},
          {R"({"json_schema":{}})", language::json_schema, "{}", "json_schema"},
          {R"({"structured_outputs":{"regex":"a"}})", language::regex, "a", "structured_outputs.regex"}})
    for (const bool chat : {false, true}) {
      const auto output = call_of(chat, request).generations.at(0).output;
      ASSERT_TRUE(output) << request;
      EXPECT_EQ(output->grammar, (grammar::output_grammar{in, source})) << request;
      EXPECT_EQ(output->parameter, parameter);
    }
  EXPECT_FALSE(call_of(true, R"({"response_format":{"type":"text"}})").generations.at(0).output);
  EXPECT_EQ(error_of(false, {{"grammar", "root ::= x"}, {"guided_regex", "a"}}).parameter, "grammar");
  EXPECT_EQ(error_of(true, {{"grammar", "root ::= x"},
                            {"tools", json::parse(R"([{"type":"function","function":{"name":"f"}}])")}})
                .parameter,
            "grammar");
}

TEST(openai_request, everyPromptHasNChoicesWithSeedsOfTheirOwn) {
  const auto call = call_of(false, R"({"prompt":["a","b"],"n":3,"best_of":3,"seed":-7,"echo":true})");
  EXPECT_EQ(call.n_per_prompt, 3);
  ASSERT_EQ(call.generations.size(), 6U);
  std::set<std::uint64_t> seeds;
  for (std::size_t i = 0; i < 6; ++i) {
    const auto& request = call.generations[i];
    EXPECT_EQ(std::get<text_prompt>(request.prompt).text, i < 3 ? "a" : "b");
    EXPECT_EQ(call.echoes.at(i), i < 3 ? "a" : "b");
    EXPECT_EQ(request.sampling.seed, seed_of_choice(static_cast<std::uint64_t>(-7), static_cast<int>(i % 3)));
    seeds.insert(request.sampling.seed);
  }
  EXPECT_EQ(seeds.size(), 3U);
  EXPECT_EQ(call.generations[0].sampling.seed, static_cast<std::uint64_t>(-7));
}

TEST(openai_request, promptsMayBeTokens) {
  const auto one = call_of(false, R"({"prompt":[1,2,3],"echo":true})");
  ASSERT_EQ(one.generations.size(), 1U);
  EXPECT_EQ(std::get<token_prompt>(one.generations[0].prompt).tokens, (std::vector<token_id>{1, 2, 3}));
  EXPECT_EQ(one.echoed_tokens.at(0), (std::vector<token_id>{1, 2, 3}));
  EXPECT_EQ(call_of(false, R"({"prompt":[[1],[2,3]]})").generations.size(), 2U);
}

TEST(openai_request, logprobsAreAskedForInTwoWays) {
  const auto asked = [](bool chat, const std::string& extra) {
    return call_of(chat, extra).generations.at(0).sampling.n_logprobs;
  };
  EXPECT_EQ(asked(true, "{}"), -1);
  EXPECT_EQ(asked(true, R"({"logprobs":false})"), -1);
  EXPECT_EQ(asked(true, R"({"logprobs":true})"), 0);
  EXPECT_EQ(asked(true, R"({"logprobs":true,"top_logprobs":5})"), 5);
  EXPECT_EQ(asked(false, "{}"), -1);
  EXPECT_EQ(asked(false, R"({"logprobs":0})"), 0);
  EXPECT_EQ(asked(false, R"({"logprobs":20})"), 20);
}

TEST(openai_request, theNewerNameOfMaxTokensWins) {
  const auto call = call_of(true, R"({"max_tokens":5,"max_completion_tokens":7})");
  EXPECT_EQ(call.generations.at(0).sampling.max_tokens, 7);
  EXPECT_TRUE(call.generations.at(0).max_tokens_given);
}

TEST(openai_request, ownOptionsAreRead) {
  const auto own = [](const std::string& text) {
    return call_of(false, R"({"souffleur":)" + text + "}").generations.at(0);
  };
  EXPECT_EQ(own("{}").cache, cache_wish{});
  EXPECT_EQ(own(R"({"cache":true})").cache, cache_wish{});
  EXPECT_EQ(own(R"({"cache":{"mode":"on"}})").cache, cache_wish{});
  EXPECT_EQ(own(R"({"cache":false})").cache.mode, cache_mode::off);
  EXPECT_EQ(own(R"({"cache":{"mode":"off"}})").cache.mode, cache_mode::off);
  EXPECT_EQ(own(R"({"cache":{"mode":"exact"}})").cache.mode, cache_mode::exact);
  const auto cached = own(R"({"cache":{"mode":"semantic","threshold":0.5,"max_error":0.25,"ttl_s":60,)"
                          R"("refresh":true,"replay_tokens_per_s":20}})");
  EXPECT_EQ(cached.cache, (cache_wish{cache_mode::semantic, 0.5, 0.25, 60, true}));
  EXPECT_EQ(cached.replay_tokens_per_s, 20);
  EXPECT_LT(own("{}").replay_tokens_per_s, 0);
  EXPECT_FALSE(own(R"({"speculation":false})").speculation.enabled);
  EXPECT_FALSE(own(R"({"speculation":{"enabled":false}})").speculation.enabled);
  EXPECT_EQ(own(R"({"speculation":{"max_draft":0}})").speculation.max_draft, 0);
  EXPECT_EQ(own(R"({"speculation":{"max_draft":64}})").speculation.max_draft, 64);
  EXPECT_EQ(own(R"({"speculation":{"branches":3}})").speculation.n_branches, 3);
  const auto most = std::to_string(most_draft_branches);
  EXPECT_EQ(own(R"({"speculation":{"branches":)" + most + "}}").speculation.n_branches, most_draft_branches);
  EXPECT_EQ(own(R"({"priority":-5})").priority, -5);
  EXPECT_FALSE(own("{}").trace);
  EXPECT_TRUE(own(R"({"trace":true})").trace);
  EXPECT_EQ(own(R"({"timeout_ms":50})").timeout, std::chrono::milliseconds{50});
  EXPECT_EQ(own("{}").retention.priority, 0);
  EXPECT_FALSE(own("{}").retention.pinned);
  EXPECT_EQ(own(R"({"cache_priority":100})").retention.priority, 100);
  EXPECT_EQ(own(R"({"cache_priority":100})").retention.ttl_s, 600);
  EXPECT_EQ(own(R"({"cache_priority":1,"cache_ttl_s":2.5})").retention.ttl_s, 2.5);
  EXPECT_TRUE(own(R"({"cache_priority":"pin"})").retention.pinned);
  EXPECT_FALSE(own(R"({"cache_priority":null})").retention.pinned);
}

TEST(parse_json, anErrorSaysWhere) {
  for (const auto* text : {"", " ", "{", "[1,]", "{} x", "nul", "\"\xFF\"", "{\"a\":\"\\ud800\"}", "01"}) {
    const auto parsed = parse_json(text);
    ASSERT_TRUE(std::holds_alternative<generation_failed>(parsed)) << text;
    EXPECT_EQ(std::get<generation_failed>(parsed).code, "invalid_json");
    EXPECT_EQ(std::get<generation_failed>(parsed).status, 400);
    EXPECT_NE(std::get<generation_failed>(parsed).message.find("byte"), std::string::npos);
  }
  EXPECT_TRUE(std::holds_alternative<generation_failed>(parse_json(std::string(100000, '['))));
  EXPECT_EQ(std::get<json::value>(parse_json(" {\"a\" : [1]} \n")), json::parse(R"({"a":[1]})"));
}

RC_GTEST_PROP(parse_json_law, anyBytesAreAValueOrAnError, ()) {
  const auto bytes = *rc::gen::oneOf(
      broken_text(), rc::gen::map(broken_text(), [](const std::string& text) { return '"' + text + '"'; }),
      rc::gen::container<std::string>(
          rc::gen::element('{', '}', '[', ']', '"', ':', ',', '1', 'e', '-', '.', '\\', 'u', 't', 'n', ' ')));
  const auto parsed = parse_json(bytes);
  if (const auto* value = std::get_if<json::value>(&parsed))
    RC_ASSERT(json::parse(json::serialize(*value)) == *value);
}

RC_GTEST_PROP(parse_json_law, aValueIsReadAsItWasWritten, (const json::value& value)) {
  const auto parsed = parse_json(json::serialize(value));
  RC_ASSERT(std::holds_alternative<json::value>(parsed));
  // Writing loses the kind of a number, not its value.
  RC_ASSERT(json::serialize(std::get<json::value>(parsed)) == json::serialize(value));
}

const std::vector<std::string> known_fields{"model",
                                            "messages",
                                            "prompt",
                                            "temperature",
                                            "top_p",
                                            "min_p",
                                            "top_k",
                                            "max_tokens",
                                            "n",
                                            "presence_penalty",
                                            "seed",
                                            "frequency_penalty",
                                            "stop",
                                            "logit_bias",
                                            "stop_token_ids",
                                            "repetition_penalty",
                                            "ignore_eos",
                                            "min_tokens",
                                            "logprobs",
                                            "stream",
                                            "top_logprobs",
                                            "stream_options",
                                            "echo",
                                            "best_of",
                                            "suffix",
                                            "tools",
                                            "tool_choice",
                                            "response_format",
                                            "parallel_tool_calls",
                                            "guided_json",
                                            "guided_choice",
                                            "structured_outputs",
                                            "max_completion_tokens",
                                            "prediction",
                                            "souffleur"};

/// What no request may carry to the actors, whatever the client wrote.
void check_ranges(const openai_call& call) {
  RC_ASSERT(!call.generations.empty());
  RC_ASSERT(call.generations.size() <= static_cast<std::size_t>(max_choices));
  RC_ASSERT(call.generations.size() % static_cast<std::size_t>(call.n_per_prompt) == 0U);
  RC_ASSERT(call.echoes.size() == call.generations.size());
  RC_ASSERT(call.echoed_tokens.size() == call.generations.size());
  RC_ASSERT(!call.include_usage || call.stream);
  for (const auto& request : call.generations) {
    const auto& s = request.sampling;
    RC_ASSERT(s.temperature >= 0 && s.temperature <= 2);
    RC_ASSERT(s.top_p > 0 && s.top_p <= 1);
    RC_ASSERT(s.min_p >= 0 && s.min_p <= 1);
    RC_ASSERT(s.top_k >= 0);
    RC_ASSERT(s.repetition_penalty > 0);
    RC_ASSERT(std::abs(s.presence_penalty) <= 2 && std::abs(s.frequency_penalty) <= 2);
    RC_ASSERT(s.max_tokens >= 1 && s.min_tokens >= 0);
    RC_ASSERT(s.n_logprobs >= -1 && s.n_logprobs <= 20);
    RC_ASSERT(std::none_of(s.stop.begin(), s.stop.end(), [](const auto& stop) { return stop.empty(); }));
    RC_ASSERT(std::all_of(s.stop_token_ids.begin(), s.stop_token_ids.end(), [](auto id) { return id >= 0; }));
    RC_ASSERT(request.timeout.count() >= 0);
  }
}

void check_outcome(const outcome& parsed, const json::object& extra) {
  const auto* error = std::get_if<generation_failed>(&parsed);
  if (error == nullptr)
    return check_ranges(std::get<openai_call>(parsed));
  RC_ASSERT(error->status == 400 || (error->status == 404 && error->parameter == "model"));
  RC_ASSERT(extra.contains(error->parameter.substr(0, error->parameter.find_first_of(".["))));
  RC_ASSERT(error->message.find(error->parameter) != std::string::npos || error->parameter == "model");
}

RC_GTEST_PROP(openai_request_law, anyValuesGiveACallInRangeOrAnErrorThatNamesOne, (bool chat)) {
  json::object several;
  for (const auto& name : known_fields) {
    const auto value = *json_value();
    const json::object one{{name, value}};
    check_outcome(parse_with(chat, one), one);
    if (*rc::gen::inRange(0, 10) == 0)
      several[name] = value;
  }
  check_outcome(parse_with(chat, several), several);
}

RC_GTEST_PROP(openai_request_law, aBodyThatIsNoObjectIsRefused, (const json::value& body)) {
  RC_PRE(!body.is_object());
  const auto parsed = parse_openai_request(openai_endpoint::completions, body, "served");
  RC_ASSERT(std::get<generation_failed>(parsed).code == "invalid_type");
}

/// A request as a client means it, and as it writes it.
RC_GTEST_PROP(openai_request_law, whatWasWrittenIsWhatIsRead, (bool chat)) {
  namespace gen = rc::gen;
  const auto sixteenths = [](int least, int most) {
    return gen::map(gen::inRange(least * 16, most * 16 + 1),
                    [](int n) { return static_cast<float>(n) / 16; });
  };
  json::object extra;
  const auto write = [&](const char* name, auto generator) {
    const auto value = *rc::gen::maybe(std::move(generator));
    if (value)
      extra[name] = json::value_from(*value);
    return value;
  };
  const auto temperature = write("temperature", sixteenths(0, 2));
  const auto min_p = write("min_p", sixteenths(0, 1));
  const auto presence = write("presence_penalty", sixteenths(-2, 2));
  const auto frequency = write("frequency_penalty", sixteenths(-2, 2));
  const auto top_k = write("top_k", gen::inRange(-1, 10));
  const auto max_tokens = write("max_tokens", gen::inRange(1, 100000));
  const auto min_tokens = write("min_tokens", gen::inRange(0, 1000));
  const auto seed = write("seed", gen::arbitrary<std::int64_t>());
  const auto ignore_eos = write("ignore_eos", gen::arbitrary<bool>());
  const auto n = write("n", gen::inRange(1, 9));
  const auto stop =
      write("stop", gen::resize(10, gen::container<std::vector<std::string>>(gen::nonEmpty(unicode_text()))));
  RC_PRE((!stop || stop->size() <= 16));
  const auto ids = write("stop_token_ids", gen::container<std::vector<token_id>>(gen::inRange(0, 50000)));
  const auto biases =
      *gen::container<std::map<token_id, float>>(gen::inRange(0, 50000), sixteenths(-100, 100));
  json::object bias;
  for (const auto& [token, value] : biases)
    bias[std::to_string(token)] = value;
  extra["logit_bias"] = bias;
  std::string text = "hi";
  if (!chat) {
    text = *unicode_text();
    extra["prompt"] = text;
  }

  const auto body = json::parse(json::serialize(extra));
  const auto parsed = parse_with(chat, body.as_object());
  RC_ASSERT(std::holds_alternative<openai_call>(parsed));
  const auto& call = std::get<openai_call>(parsed);
  RC_ASSERT(call.generations.size() == static_cast<std::size_t>(n ? *n : 1));
  const sampling_params defaults;
  for (const auto& request : call.generations) {
    const auto& s = request.sampling;
    RC_ASSERT(s.temperature == (temperature ? *temperature : defaults.temperature));
    RC_ASSERT(s.min_p == (min_p ? *min_p : defaults.min_p));
    RC_ASSERT(s.presence_penalty == (presence ? *presence : defaults.presence_penalty));
    RC_ASSERT(s.frequency_penalty == (frequency ? *frequency : defaults.frequency_penalty));
    RC_ASSERT(s.top_k == (top_k ? std::max(0, *top_k) : defaults.top_k));
    RC_ASSERT(s.max_tokens == (max_tokens ? *max_tokens : defaults.max_tokens));
    RC_ASSERT(request.max_tokens_given == static_cast<bool>(max_tokens));
    RC_ASSERT(s.min_tokens == (min_tokens ? *min_tokens : defaults.min_tokens));
    RC_ASSERT(request.seed_given == static_cast<bool>(seed));
    RC_ASSERT(s.ignore_eos == (ignore_eos ? *ignore_eos : defaults.ignore_eos));
    RC_ASSERT(s.stop == (stop ? *stop : defaults.stop));
    RC_ASSERT(s.stop_token_ids == (ids ? *ids : defaults.stop_token_ids));
    RC_ASSERT((std::map<token_id, float>{s.logit_bias.begin(), s.logit_bias.end()}) == biases);
    if (!chat)
      RC_ASSERT(std::get<text_prompt>(request.prompt).text == text);
  }
  if (seed)
    RC_ASSERT(call.generations[0].sampling.seed == static_cast<std::uint64_t>(*seed));
}

/// Planted bugs that it caught: a name read from another's field, or not at all; an object that switches
/// drafts off; the last part of a prediction for the whole, or no prediction.
RC_GTEST_PROP(openai_request_law, wishesForDraftsAreReadAsTheyWereWritten, (bool chat)) {
  namespace gen = rc::gen;
  json::object wishes;
  const auto write = [&](const char* name, auto generator) {
    const auto value = *gen::maybe(std::move(generator));
    if (value)
      wishes[name] = json::value_from(*value);
    return value;
  };
  const auto enabled = write("enabled", gen::arbitrary<bool>());
  const auto max_draft = write("max_draft", gen::inRange(0, 65));
  const auto n_branches = write("branches", gen::inRange(1, most_draft_branches + 1));
  const auto policy = write("policy", unicode_text());
  const auto drafter = write("drafter", unicode_text());
  const auto acceptance = write("acceptance", unicode_text());
  const auto parts = *gen::maybe(gen::resize(4, gen::container<std::vector<std::string>>(unicode_text())));
  json::object extra{{"souffleur", json::object{{"speculation", wishes}}}};
  std::string predicted;
  if (parts) {
    json::array content;
    for (const auto& part : *parts) {
      content.push_back(json::object{{"type", "text"}, {"text", part}});
      predicted += part;
    }
    extra["prediction"] = json::object{{"type", "content"}, {"content", content}};
    if (*gen::arbitrary<bool>())
      extra["prediction"].as_object()["content"] = predicted;
  }
  const auto parsed = parse_with(chat, extra);
  RC_ASSERT(std::holds_alternative<openai_call>(parsed));
  const auto& request = std::get<openai_call>(parsed).generations.at(0);
  const auto& read = request.speculation;
  RC_ASSERT(read.enabled == (enabled ? *enabled : true));
  RC_ASSERT(read.max_draft.has_value() == static_cast<bool>(max_draft));
  if (max_draft)
    RC_ASSERT(read.max_draft == *max_draft);
  RC_ASSERT(read.n_branches.has_value() == static_cast<bool>(n_branches));
  if (n_branches)
    RC_ASSERT(read.n_branches == *n_branches);
  RC_ASSERT(read.policy == (policy ? *policy : std::string{}));
  RC_ASSERT(read.drafter == (drafter ? *drafter : std::string{}));
  RC_ASSERT(read.acceptance == (acceptance ? *acceptance : std::string{}));
  RC_ASSERT(request.prediction == predicted);
}

RC_GTEST_PROP(seed_of_choice_law, choicesOfNeighbouringSeedsDiffer, (std::uint64_t seed)) {
  std::set<std::uint64_t> seeds;
  for (const auto base : {seed, seed + 1})
    for (int i = 0; i < max_choices; ++i)
      seeds.insert(seed_of_choice(base, i));
  RC_ASSERT(seeds.size() == 2U * max_choices);
}

} // namespace
} // namespace souffleur
