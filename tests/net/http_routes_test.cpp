// What HTTP answers without a generation.
#include "net/http_routes.hpp"

#include "tests/net/fake_embeddings.hpp"
#include "tests/net/fake_service.hpp"
#include "tests/net/random_json.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace souffleur {
namespace {

namespace json = boost::json;
using namespace testing;

struct routes : ::testing::Test {
  http_reply reply_to(const std::string& method, const std::string& path, const std::string& body = "") {
    auto routed = route({method, path, body}, service);
    if (auto* reply = std::get_if<http_reply>(&routed))
      return *reply;
    return {-1, "", "", "", 0};
  }
  json::value json_of(const std::string& method, const std::string& path, const std::string& body = "") {
    return json::parse(reply_to(method, path, body).body);
  }
  /// The status and the parameter of a refused POST.
  std::pair<int, std::string> refusal(const std::string& path, const std::string& body) {
    const auto reply = reply_to("POST", path, body);
    const auto parameter = json::parse(reply.body).at("error").at("param");
    return {reply.status, parameter.is_null() ? "" : std::string{parameter.as_string()}};
  }

  fake_service service;
};

using refused = std::pair<int, std::string>;

TEST_F(routes, eachPathHasItsMethod) {
  for (const auto& [method, path, status] :
       std::vector<std::tuple<std::string, std::string, int>>{{"GET", "/", 200},
                                                              {"GET", "/health", 200},
                                                              {"GET", "/live", 200},
                                                              {"GET", "/ready", 200},
                                                              {"POST", "/souffleur/kill/verifier", 404},
                                                              {"GET", "/metrics", 200},
                                                              {"GET", "/souffleur/kv", -1},
                                                              {"POST", "/souffleur/kv", 405},
                                                              {"GET", "/v1/models", 200},
                                                              {"GET", "/v1/models/served", 200},
                                                              {"GET", "/v1/models/other", 404},
                                                              {"GET", "/v1/models/", 404},
                                                              {"GET", "/v1/stream", 426},
                                                              {"HEAD", "/health", 200},
                                                              {"HEAD", "/tokenize", 405},
                                                              {"POST", "/health", 405},
                                                              {"DELETE", "/v1/models/served", 405},
                                                              {"GET", "/tokenize", 405},
                                                              {"GET", "/detokenize", 405},
                                                              {"GET", "/v1/chat/completions", 405},
                                                              {"PUT", "/v1/completions", 405},
                                                              {"get", "/health", 405},
                                                              {"GET", "", 404},
                                                              {"GET", "//", 404},
                                                              {"GET", "/health/", 404},
                                                              {"GET", "/v1", 404},
                                                              {"GET", "/v1/embeddings", 405},
                                                              {"OPTIONS", "/nowhere", 404},
                                                              {"OPTIONS", "/v1/completions", 204},
                                                              {"OPTIONS", "/health", 204}})
    EXPECT_EQ(reply_to(method, path).status, status) << method << " " << path;
}

TEST_F(routes, aWrongMethodIsToldTheRightOne) {
  EXPECT_EQ(reply_to("GET", "/tokenize").allow, "POST, OPTIONS");
  EXPECT_NE(reply_to("GET", "/tokenize").body.find("POST"), std::string::npos);
  EXPECT_EQ(reply_to("OPTIONS", "/v1/completions").allow, "POST, OPTIONS");
  EXPECT_EQ(reply_to("OPTIONS", "/v1/completions").body, "");
}

TEST_F(routes, aGenerationIsHandedOn) {
  const auto chat =
      route({"POST", "/v1/chat/completions", R"({"messages":[{"role":"user"}],"n":3})"}, service);
  ASSERT_TRUE(std::holds_alternative<openai_call>(chat));
  EXPECT_TRUE(std::get<openai_call>(chat).chat);
  EXPECT_EQ(std::get<openai_call>(chat).generations.size(), 3U);
  const auto text = route({"POST", "/v1/completions", R"({"prompt":"x"})"}, service);
  ASSERT_TRUE(std::holds_alternative<openai_call>(text));
  EXPECT_FALSE(std::get<openai_call>(text).chat);
}

TEST_F(routes, embeddingsAreHandedOnIfThereIsAModel) {
  const http_query query{"POST", "/v1/embeddings", R"({"input":["a","b"]})"};
  const auto without = route(query, service);
  EXPECT_EQ(std::get<http_reply>(without).status, 404);
  const fake_embeddings embeddings;
  const auto with = route(query, {service, &embeddings});
  ASSERT_TRUE(std::holds_alternative<embedding_call>(with));
  EXPECT_EQ(std::get<embedding_call>(with).request.texts.size(), 2U);
  EXPECT_EQ(refusal("/v1/embeddings", "{"), refused(400, ""));
}

TEST_F(routes, theEmbeddingModelIsListed) {
  const fake_embeddings embeddings;
  const auto list = route({"GET", "/v1/models", ""}, {service, &embeddings});
  const auto models = json::parse(std::get<http_reply>(list).body).at("data");
  EXPECT_EQ(models.as_array().size(), 2U);
  EXPECT_EQ(models.at(1).at("id"), "small");
  const auto one = route({"GET", "/v1/models/small", ""}, {service, &embeddings});
  EXPECT_EQ(json::parse(std::get<http_reply>(one).body).at("fingerprint"), "abc");
}

TEST_F(routes, wrongGenerationsAreRefused) {
  for (const std::string path : {"/v1/chat/completions", "/v1/completions"}) {
    EXPECT_EQ(refusal(path, ""), refused(400, ""));
    EXPECT_EQ(refusal(path, "{"), refused(400, ""));
    EXPECT_EQ(refusal(path, "[]"), refused(400, ""));
    EXPECT_EQ(refusal(path, R"({"model":"other"})"), refused(404, "model"));
  }
  EXPECT_EQ(refusal("/v1/chat/completions", "{}"), refused(400, "messages"));
  EXPECT_EQ(refusal("/v1/completions", "{}"), refused(400, "prompt"));
}

TEST_F(routes, theModelIsDescribed) {
  const auto list = json_of("GET", "/v1/models");
  EXPECT_EQ(list.at("data").as_array().size(), 1U);
  EXPECT_EQ(list.at("data").at(0), json_of("GET", "/v1/models/served"));
  EXPECT_EQ(list.at("data").at(0).at("id"), "served");
  EXPECT_EQ(list.at("data").at(0).at("max_model_len"), 2048);
}

class fake_faults final : public fault_service {
public:
  void kill(const std::string& actor) override { killed.push_back(actor); }
  std::vector<std::string> killed;
};

TEST_F(routes, actorsAreKilledOnlyWhereTheServerSaysSo) {
  fake_faults faults;
  const auto routed = route({"POST", "/souffleur/kill/verifier", ""}, {service, nullptr, nullptr, &faults});
  EXPECT_EQ(std::get<http_reply>(routed).status, 200);
  EXPECT_EQ(faults.killed, std::vector<std::string>{"verifier"});
}

TEST_F(routes, healthFollowsTheService) {
  EXPECT_EQ(reply_to("GET", "/health").status, 200);
  service.set_ready(false);
  EXPECT_EQ(reply_to("GET", "/health").status, 503);
}

TEST_F(routes, theKvMemoryIsDescribed) {
  kv_summary summary;
  summary.occupancy = {.n_total = 10, .n_free = 4, .n_cached = 3, .n_pinned = 2, .n_owned = 1};
  summary.most_hit.push_back({7, 48, 16, 5, 2});
  summary.tier = file_tier_counters{.n_hit_pages = 8, .n_pages = 9};
  EXPECT_TRUE(std::holds_alternative<kv_question>(route({"GET", "/souffleur/kv", ""}, service)));
  EXPECT_EQ(kv_reply(std::nullopt, service.model()).status, 503);
  const auto body = json::parse(kv_reply(summary, service.model()).body);
  EXPECT_EQ(body.at("pages").at("cached").as_int64(), 3);
  EXPECT_EQ(body.at("bytes").at("used").to_number<int>(), 0);
  const auto prefix = body.at("most_hit_prefixes").at(0);
  EXPECT_EQ(prefix.at("tokens").as_int64(), 48);
  EXPECT_EQ(prefix.at("hits").to_number<int>(), 5);
  EXPECT_EQ(body.at("tier").at("read_pages").to_number<int>(), 8);
  EXPECT_EQ(body.at("tier").at("pages").to_number<int>(), 9);
}

TEST_F(routes, textIsTokenized) {
  EXPECT_EQ(json_of("POST", "/tokenize", R"({"content":"ab"})").at("tokens"), (json::array{97, 98}));
  EXPECT_EQ(json_of("POST", "/tokenize", R"({"prompt":"ab"})").at("count"), 2);
  EXPECT_EQ(json_of("POST", "/tokenize", R"({"content":""})").at("count"), 0);
  EXPECT_EQ(json_of("POST", "/tokenize", R"({"content":"","parse_special":false})").at("count"), 1);
}

TEST_F(routes, wrongTextsAreRefused) {
  EXPECT_EQ(refusal("/tokenize", "nonsense"), refused(400, ""));
  EXPECT_EQ(refusal("/tokenize", "[]"), refused(400, ""));
  EXPECT_EQ(refusal("/tokenize", "{}"), refused(400, "prompt"));
  EXPECT_EQ(refusal("/tokenize", R"({"content":7})"), refused(400, "content"));
  EXPECT_EQ(refusal("/tokenize", R"({"content":"a","parse_special":1})"), refused(400, "parse_special"));
}

TEST_F(routes, tokensAreDetokenizedToValidText) {
  EXPECT_EQ(json_of("POST", "/detokenize", R"({"tokens":[97,98]})").at("content"), "ab");
  EXPECT_EQ(json_of("POST", "/detokenize", R"({"tokens":[]})").at("content"), "");
  EXPECT_EQ(json_of("POST", "/detokenize", R"({"tokens":[255]})").at("content"), "\xEF\xBF\xBD");
}

TEST_F(routes, wrongTokensAreRefused) {
  for (const std::string body :
       {"{}", R"({"tokens":"x"})", R"({"tokens":["x"]})", R"({"tokens":[1.5]})", R"({"tokens":[-1]})",
        R"({"tokens":[256]})", R"({"tokens":[97, 18446744073709551615]})", R"({"tokens":[null]})"})
    EXPECT_EQ(refusal("/detokenize", body), refused(400, "tokens")) << body;
  EXPECT_NE(reply_to("POST", "/detokenize", R"({"tokens":[1,2,999]})").body.find("tokens[2]"),
            std::string::npos);
  EXPECT_EQ(refusal("/detokenize", "[]"), refused(400, ""));
}

RC_GTEST_PROP(routes_law, anyQueryIsAnsweredWithValidJsonOrText, ()) {
  fake_service service;
  const auto method = *rc::gen::element<std::string>("GET", "POST", "HEAD", "PUT", "OPTIONS", "X");
  const auto path = *rc::gen::oneOf(
      rc::gen::element<std::string>("/", "/health", "/metrics", "/v1/models", "/tokenize", "/detokenize",
                                    "/v1/completions", "/v1/chat/completions", "/v1/stream",
                                    "/v1/embeddings"),
      rc::gen::map(broken_text(), [](const std::string& name) { return "/v1/models/" + name; }),
      broken_text());
  const auto body = *rc::gen::oneOf(
      broken_text(),
      rc::gen::map(json_value(), [](const json::value& value) { return json::serialize(value); }),
      rc::gen::map(json_value(), [](const json::value& value) {
        return json::serialize(json::object{{"content", value}, {"tokens", value}});
      }));
  const auto routed = route({method, path, body}, service);
  if (const auto* reply = std::get_if<http_reply>(&routed)) {
    RC_ASSERT(reply->status >= 200 && reply->status < 600);
    if (reply->content_type == "application/json")
      json::parse(reply->body); // throws if it is not JSON
    RC_ASSERT((reply->status == 405) <= !reply->allow.empty());
  }
}

} // namespace
} // namespace souffleur
