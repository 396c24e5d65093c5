#include "actors/request_preparation.hpp"
#include "policies/acceptance_policy.hpp"
#include "tests/actors/fake_text.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <functional>
#include <set>

namespace souffleur {
namespace {

using namespace souffleur::testing;

constexpr std::uint64_t fresh_seed = 4711;

prompt_format format_of(int context_length = 256) {
  return {std::make_shared<fake_tokenizer>(), std::make_shared<fake_chat_template>(), "fingerprint",
          context_length, std::make_shared<grammar::grammar_library>(std::make_shared<fake_tokenizer>())};
}

generation_request text_request(const std::string& text) {
  generation_request request;
  request.id = 9;
  request.tenant = "tenant";
  request.prompt = text_prompt{text};
  return request;
}

std::variant<admitted_request, generation_failed>
prepared(const generation_request& request, const serving_config& config = {}, int context_length = 256) {
  return prepare(request, format_of(context_length), config, fresh_seed);
}

admitted_request admitted(const generation_request& request, const serving_config& config = {}) {
  auto result = prepared(request, config);
  if (const auto* failed = std::get_if<generation_failed>(&result)) {
    ADD_FAILURE() << failed->message;
    return {};
  }
  return std::get<admitted_request>(result);
}

/// The parameter that the error names; its status has to be 400.
std::string blamed(const generation_request& request, const serving_config& config = {}) {
  const auto result = prepared(request, config);
  const auto* failed = std::get_if<generation_failed>(&result);
  if (!failed)
    return "nothing";
  EXPECT_EQ(failed->status, 400);
  EXPECT_FALSE(failed->message.empty());
  EXPECT_FALSE(failed->code.empty());
  return failed->parameter;
}

TEST(RequestPreparation, TextGetsItsBeginningToken) {
  EXPECT_EQ(admitted(text_request("abc")).prompt, (std::vector<token_id>{fake_bos, 0, 1, 2}));
}

TEST(RequestPreparation, ChatIsRenderedByTheTemplate) {
  auto request = text_request("");
  request.prompt =
      chat_prompt{{{{"role", "user"}, {"content", "ab"}}, {{"role", "user"}, {"content", "c"}}}, {}};
  EXPECT_EQ(admitted(request).prompt, (std::vector<token_id>{0, 1, 26, 2, 26}));
  request.prompt = chat_prompt{{{{"role", "user"}}}, {}};
  EXPECT_EQ(blamed(request), "messages");
}

TEST(RequestPreparation, TokensAreTakenAsTheyAre) {
  auto request = text_request("");
  request.prompt = token_prompt{{4, 31, 0}};
  EXPECT_EQ(admitted(request).prompt, (std::vector<token_id>{4, 31, 0}));
}

TEST(RequestPreparation, ErrorsNameTheParameter) {
  auto request = text_request("");
  request.prompt = token_prompt{{}};
  EXPECT_EQ(blamed(request), "prompt");
  request.prompt = token_prompt{{1, fake_vocabulary}};
  EXPECT_EQ(blamed(request), "prompt");
  request.prompt = token_prompt{{-1}};
  EXPECT_EQ(blamed(request), "prompt");
  EXPECT_EQ(blamed(text_request(std::string(255, 'a'))), "prompt"); // with BOS as long as the context
  EXPECT_EQ(blamed(text_request(std::string(254, 'a'))), "nothing");
  request = text_request("abc");
  request.sampling.logit_bias = {{fake_vocabulary, 1.0F}};
  EXPECT_EQ(blamed(request), "logit_bias");
  request.sampling.logit_bias = {{-1, 1.0F}};
  EXPECT_EQ(blamed(request), "logit_bias");
  request = text_request("abc");
  request.max_tokens_given = true;
  request.sampling.max_tokens = 0;
  EXPECT_EQ(blamed(request), "max_tokens");
  request = text_request("");
  request.prompt = chat_prompt{{{{"role", "user"}, {"content", std::string(300, 'a')}}}, {}};
  EXPECT_EQ(blamed(request), "messages");
}

RC_GTEST_PROP(RequestPreparation, WhatIsAdmittedFitsContextAndPool, ()) {
  auto request = text_request(std::string(*rc::gen::inRange<std::size_t>(0, 200), 'a'));
  request.max_tokens_given = *rc::gen::arbitrary<bool>();
  request.sampling.max_tokens = *rc::gen::inRange(1, 400);
  request.sampling.min_tokens = *rc::gen::inRange(0, 400);
  serving_config config;
  config.n_kv_pages = *rc::gen::inRange(2, 20);
  config.max_output_tokens = *rc::gen::inRange(1, 300);
  config.max_draft = *rc::gen::inRange(0, 9);
  const int context_length = *rc::gen::inRange(2, 300);
  const auto result = prepared(request, config, context_length);
  if (const auto* failed = std::get_if<generation_failed>(&result)) {
    RC_ASSERT(failed->code == "context_length_exceeded");
    return;
  }
  const auto& ready = std::get<admitted_request>(result);
  const int n_prompt = static_cast<int>(ready.prompt.size());
  RC_ASSERT(ready.sampling->max_tokens >= 1);
  RC_ASSERT(ready.sampling->max_tokens <= config.max_output_tokens);
  RC_ASSERT(ready.sampling->min_tokens <= ready.sampling->max_tokens);
  if (request.max_tokens_given)
    RC_ASSERT(ready.sampling->max_tokens <= request.sampling.max_tokens);
  RC_ASSERT(n_prompt + ready.sampling->max_tokens <= context_length);
  // Alone in the pool it can finish with drafts behind its last token.
  RC_ASSERT(n_prompt + ready.sampling->max_tokens + config.max_draft <= config.n_kv_pages * page_tokens);
}

TEST(RequestPreparation, SeedIsTheClientsOrFresh) {
  auto request = text_request("abc");
  request.sampling.seed = 12;
  EXPECT_EQ(admitted(request).sampling->seed, fresh_seed);
  request.seed_given = true;
  EXPECT_EQ(admitted(request).sampling->seed, 12U);
}

TEST(RequestPreparation, OnlyAnswersThatWouldBeRepeatedAreCached) {
  serving_config config;
  config.cache_policy = "exact";
  auto request = text_request("abc");
  EXPECT_FALSE(admitted(request, config).cached) << "drawn with a fresh seed";
  request.seed_given = true;
  EXPECT_TRUE(admitted(request, config).cached);
  EXPECT_FALSE(admitted(request).cached) << "the policy is off";
  request.cache.mode = cache_mode::off;
  EXPECT_FALSE(admitted(request, config).cached) << "the client opted out";
  request.cache = {};
  request.sampling.n_logprobs = 0;
  EXPECT_FALSE(admitted(request, config).cached) << "log-probabilities are not stored";
  request = text_request("abc");
  request.sampling.temperature = 0;
  EXPECT_TRUE(admitted(request, config).cached) << "greedy";
}

TEST(RequestPreparation, WhatDraftsAreWishedForHasToBeOffered) {
  const auto blamed_for = [](auto set) {
    auto request = text_request("abc");
    set(request.speculation);
    return blamed(request);
  };
  EXPECT_EQ(blamed_for([](auto& s) { s.policy = "bold"; }), "souffleur.speculation.policy");
  EXPECT_EQ(blamed_for([](auto& s) { s.drafter = "oracle"; }), "souffleur.speculation.drafter");
  EXPECT_EQ(blamed_for([](auto& s) { s.drafter = "draft_model"; }), "souffleur.speculation.drafter");
  EXPECT_EQ(blamed_for([](auto& s) { s.acceptance = "wishful"; }), "souffleur.speculation.acceptance");
  for (const auto* policy : {"", "adaptive", "fixed", "off"})
    EXPECT_EQ(blamed_for([&](auto& s) { s.policy = policy; }), "nothing") << policy;
}

TEST(RequestPreparation, WhatDraftsMayChangeIsLossyAndNeverCached) {
  serving_config config;
  config.cache_policy = "exact";
  auto request = text_request("abc");
  request.seed_given = true;
  for (const auto* acceptance : {"coupled", "greedy", "gumbel", "token", "block", "traversal", "typical"}) {
    request.speculation.acceptance = acceptance;
    const auto ready = admitted(request, config);
    EXPECT_EQ(ready.is_lossy, !make_acceptance_policy(acceptance)->lossless()) << acceptance;
    EXPECT_EQ(ready.cached == nullptr, ready.is_lossy) << acceptance;
  }
  request.speculation.acceptance = "";
  config.acceptance_policy = "typical";
  EXPECT_TRUE(admitted(request, config).is_lossy) << "the server's";
  request.sampling.temperature = 0;
  EXPECT_FALSE(admitted(request, config).is_lossy) << "greedy rows are decided greedily";
}

/// Its end token is a control token.
struct tokenizer_with_control : fake_tokenizer {
  std::vector<token_id> encode(std::string_view text, bool parse_special) const override {
    if (parse_special && text == piece(fake_end))
      return {fake_end};
    return fake_tokenizer::encode(text, parse_special);
  }
};

TEST(RequestPreparation, APredictionIsPlainText) {
  auto format = format_of();
  format.vocabulary = std::make_shared<tokenizer_with_control>();
  auto request = text_request("abc");
  request.prediction = "</s>";
  const auto ready = prepare(request, format, {}, fresh_seed);
  EXPECT_EQ(std::get<admitted_request>(ready).prediction, std::vector<token_id>{'s' - 'a'});
}

TEST(RequestPreparation, WhoAsksIsToldOfItsSteps) {
  auto request = text_request("abc");
  EXPECT_FALSE(admitted(request).trace);
  request.trace = true;
  EXPECT_TRUE(admitted(request).trace);
}

TEST(RequestPreparation, NobodyDraftsForWhoSaysOffNorOnAServerThatDoes) {
  auto request = text_request("abc");
  EXPECT_TRUE(admitted(request).speculation.enabled);
  request.speculation.policy = "fixed";
  EXPECT_TRUE(admitted(request).speculation.enabled);
  serving_config config;
  config.draft_policy = "off";
  EXPECT_FALSE(admitted(request, config).speculation.enabled);
  config = {};
  config.drafter = "off";
  EXPECT_FALSE(admitted(request, config).speculation.enabled);
  request.speculation.policy = "off";
  EXPECT_FALSE(admitted(request).speculation.enabled);
  request.speculation = {};
  request.speculation.drafter = "off";
  EXPECT_FALSE(admitted(request).speculation.enabled);
  request.speculation = {};
  request.speculation.enabled = false;
  EXPECT_FALSE(admitted(request).speculation.enabled);
}

generation_request keyed_request() {
  auto request = text_request("abc");
  request.seed_given = true;
  request.sampling.seed = 0;
  request.max_tokens_given = true;
  request.sampling.max_tokens = 20;
  return request;
}

cache_key key_of_request(const generation_request& request, const std::string& weights = "weights") {
  serving_config config;
  config.cache_policy = "exact";
  auto format = format_of();
  format.fingerprint = weights;
  format.thoughts = std::make_shared<const thought_marks>();
  const auto ready = prepare(request, format, config, fresh_seed);
  return std::get<admitted_request>(ready).cached->key;
}

TEST(RequestPreparation, CacheKeyDiffersWithEverythingThatDecidesTheAnswer) {
  using change = std::function<void(sampling_params&)>;
  const std::vector<change> changes = {
      [](sampling_params&) {},
      [](sampling_params& s) { s.temperature = 0.5F; },
      [](sampling_params& s) { s.top_k = 3; },
      [](sampling_params& s) { s.top_p = 0.5F; },
      [](sampling_params& s) { s.min_p = 0.5F; },
      [](sampling_params& s) { s.repetition_penalty = 0.5F; },
      [](sampling_params& s) { s.presence_penalty = 0.5F; },
      [](sampling_params& s) { s.frequency_penalty = 0.5F; },
      [](sampling_params& s) {
        s.logit_bias = {{1, 0.5F}};
      },
      [](sampling_params& s) {
        s.logit_bias = {{2, 0.5F}};
      },
      [](sampling_params& s) {
        s.logit_bias = {{1, 0.25F}};
      },
      [](sampling_params& s) { s.seed = 1; },
      [](sampling_params& s) { s.max_tokens = 9; },
      [](sampling_params& s) { s.min_tokens = 9; },
      [](sampling_params& s) { s.max_thinking_tokens = 9; },
      [](sampling_params& s) { s.ignore_eos = true; },
      [](sampling_params& s) { s.stop = {"ab"}; },
      [](sampling_params& s) {
        s.stop = {"a", "b"};
      },
      [](sampling_params& s) { s.stop_token_ids = {1}; },
      [](sampling_params& s) {
        s.stop_token_ids = {1, 2};
      },
  };
  std::set<key_digest> keys;
  const auto add = [&keys](const key_digest& key) { return keys.insert(key).second; };
  for (std::size_t i = 0; i < changes.size(); ++i) {
    auto request = keyed_request();
    changes[i](request.sampling);
    EXPECT_TRUE(add(key_of_request(request).exact)) << "change " << i;
  }
  const auto changed = [](auto change) {
    auto request = keyed_request();
    change(request);
    return key_of_request(request).exact;
  };
  EXPECT_TRUE(add(changed([](auto& r) { r.tenant = "u"; })));
  EXPECT_TRUE(add(changed([](auto& r) { r.prompt = text_prompt{"ab"}; })));
  EXPECT_TRUE(add(changed([](auto& r) { r.prompt = text_prompt{"abcd"}; })));
  EXPECT_TRUE(add(changed([](auto& r) { r.attention = {16, 128}; })));
  EXPECT_TRUE(add(changed([](auto& r) { r.attention = {32, 64}; })));
  EXPECT_TRUE(add(changed([](auto& r) { r.speculation.acceptance = "token"; })));
  using grammar::language;
  EXPECT_TRUE(add(changed([](auto& r) { r.output = {{language::regex, "a"}, ""}; })));
  EXPECT_TRUE(add(changed([](auto& r) { r.output = {{language::regex, "b"}, ""}; })));
  EXPECT_TRUE(add(changed([](auto& r) { r.output = {{language::json_schema, "{}"}, ""}; })));
  EXPECT_TRUE(add(key_of_request(keyed_request(), "other weights").exact));
}

TEST(RequestPreparation, AFormIsCompiledOrNamed) {
  using grammar::language;
  auto request = text_request("abc");
  EXPECT_EQ(admitted(request).grammar, nullptr);
  request.output = {{language::regex, "[a-c]+"}, "guided_regex"};
  const auto grammar = admitted(request).grammar;
  ASSERT_NE(grammar, nullptr);
  const grammar::grammar_cursor cursor{grammar};
  EXPECT_TRUE(cursor.after(0));
  EXPECT_FALSE(cursor.after(3));
  request.output = {{language::regex, "("}, "guided_regex"};
  EXPECT_EQ(blamed(request), "guided_regex");
  request.output = {{language::json_schema, R"({"not": {}})"}, "response_format"};
  EXPECT_EQ(blamed(request), "response_format");
}

TEST(RequestPreparation, OnlyAModelThatThinksCanBeToldForHowLong) {
  auto request = text_request("abc");
  request.sampling.max_thinking_tokens = 0;
  const auto refused = prepared(request);
  EXPECT_EQ(std::get<generation_failed>(refused).parameter, "souffleur.max_thinking_tokens");
  auto format = format_of();
  format.thoughts = std::make_shared<const thought_marks>();
  const auto ready = prepare(request, format, {}, fresh_seed);
  EXPECT_EQ(std::get<admitted_request>(ready).thoughts, format.thoughts);
  EXPECT_EQ(std::get<admitted_request>(ready).sampling->max_thinking_tokens, 0);
}

TEST(RequestPreparation, AnAnswerThatHasAFormHasNoThought) {
  auto request = text_request("abc");
  request.output = {{grammar::language::regex, "a"}, ""};
  auto format = format_of();
  format.thoughts = std::make_shared<const thought_marks>();
  EXPECT_EQ(std::get<admitted_request>(prepare(request, format, {}, fresh_seed)).thoughts, nullptr);
}

TEST(RequestPreparation, ToolsNeedATemplateThatShowsThem) {
  auto request = text_request("");
  request.prompt = chat_prompt{{{{"role", "user"}, {"content", "abc"}}}, {{{"type", "function"}}}};
  EXPECT_EQ(blamed(request), "tools");
}

TEST(RequestPreparation, GreedyAnswersShareTheirKeyAcrossSeeds) {
  auto one = keyed_request();
  one.sampling.temperature = 0;
  auto other = one;
  other.sampling.seed = 99;
  EXPECT_EQ(key_of_request(one).exact, key_of_request(other).exact);
  other.speculation.acceptance = "token";
  EXPECT_EQ(key_of_request(one).exact, key_of_request(other).exact);
}

TEST(RequestPreparation, APartitionHoldsWhatDiffersInTheLastQuestionOnly) {
  const auto chat = [](const std::string& first, const std::string& last) {
    auto request = keyed_request();
    request.max_tokens_given = false;
    request.prompt =
        chat_prompt{{{{"role", "user"}, {"content", first}}, {{"role", "user"}, {"content", last}}}, {}};
    return key_of_request(request);
  };
  const auto key = chat("ab", "is  it\tso");
  EXPECT_EQ(key.text, "is it so");
  EXPECT_EQ(chat("ab", "is it").partition, key.partition);
  EXPECT_NE(chat("ab", "is it").exact, key.exact);
  EXPECT_NE(chat("b", "is it so").partition, key.partition) << "another conversation";
  auto tokens = keyed_request();
  tokens.prompt = token_prompt{{1, 2}};
  EXPECT_EQ(key_of_request(tokens).text, "") << "there is no question to compare";
}

TEST(RequestPreparation, WhatARequestWishesOfTheCacheIsBoundedByTheServer) {
  serving_config config;
  config.cache_policy = "guarded";
  config.cache_ttl = std::chrono::seconds{100};
  config.cache_threshold = 0.8;
  auto request = text_request("abc");
  request.sampling.temperature = 0;
  const auto permit = [&] { return admitted(request, config).cached->permit; };
  EXPECT_TRUE(permit().semantic);
  EXPECT_EQ(permit().threshold, 0.8);
  EXPECT_EQ(permit().ttl_s, 100);
  request.cache = {cache_mode::exact, 0.7, 0.5, 1000, true};
  EXPECT_FALSE(permit().semantic);
  EXPECT_FALSE(permit().reads);
  EXPECT_EQ(permit().threshold, 0.7);
  EXPECT_EQ(permit().max_error, 0.5);
  EXPECT_EQ(permit().ttl_s, 100);
  config.cache_policy = "exact";
  request.cache = {};
  request.cache.mode = cache_mode::semantic;
  EXPECT_FALSE(permit().semantic);
  request.n_choices = 2;
  EXPECT_FALSE(admitted(request, config).cached);
  request.n_choices = 1;
  request.sampling.temperature = 0.5F;
  EXPECT_FALSE(admitted(request, config).cached);
  config.cache_max_temperature = 0.5;
  EXPECT_TRUE(admitted(request, config).cached);
}

} // namespace
} // namespace souffleur
