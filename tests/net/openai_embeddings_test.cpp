#include "net/openai_embeddings.hpp"

#include "tests/net/random_json.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cstring>

namespace souffleur {
namespace {

namespace json = boost::json;
using namespace testing;

const served_embedder small{"small", "abc", 2, 256};

std::variant<embedding_call, generation_failed> parsed(const std::string& body,
                                                       const served_embedder* served = &small) {
  return parse_embedding_request(json::parse(body), served);
}

using refused = std::pair<int, std::string>;

/// The status and the parameter of a refused request.
refused refusal(const std::string& body) {
  const auto outcome = parsed(body);
  const auto* failed = std::get_if<generation_failed>(&outcome);
  return failed ? refused{failed->status, failed->parameter} : refused{0, ""};
}

TEST(OpenaiEmbeddings, a_string_or_strings_are_taken) {
  const auto one =
      parsed(R"({"input":"a","model":"small","encoding_format":"base64","dimensions":2,"user":"u"})");
  ASSERT_TRUE(std::holds_alternative<embedding_call>(one));
  EXPECT_EQ(std::get<embedding_call>(one).request.texts, std::vector<std::string>{"a"});
  EXPECT_TRUE(std::get<embedding_call>(one).as_base64);
  const auto two = parsed(R"({"input":["a",""],"souffleur":{"timeout_ms":50}})");
  ASSERT_TRUE(std::holds_alternative<embedding_call>(two));
  EXPECT_EQ(std::get<embedding_call>(two).request.texts, (std::vector<std::string>{"a", ""}));
  EXPECT_EQ(std::get<embedding_call>(two).request.timeout.count(), 50);
  EXPECT_FALSE(std::get<embedding_call>(two).as_base64);
}

TEST(OpenaiEmbeddings, a_refusal_names_the_parameter) {
  for (const auto& [body, status, parameter] : std::vector<std::tuple<std::string, int, std::string>>{
           {"{}", 400, "input"},
           {R"({"input":null})", 400, "input"},
           {R"({"input":[]})", 400, "input"},
           {R"({"input":7})", 400, "input"},
           {R"({"input":[1,2]})", 400, "input"},
           {R"({"input":[[1,2]]})", 400, "input"},
           {R"({"input":["a",null]})", 400, "input[1]"},
           {R"({"input":"a","model":"other"})", 404, "model"},
           {R"({"input":"a","encoding_format":"hex"})", 400, "encoding_format"},
           {R"({"input":"a","dimensions":1})", 400, "dimensions"},
           {R"({"input":"a","dimensions":"2"})", 400, "dimensions"},
           {R"({"input":"a","souffleur":{"timeout_ms":0}})", 400, "souffleur.timeout_ms"},
           {"[]", 400, ""}})
    EXPECT_EQ(refusal(body), refused(status, parameter)) << body;
  const auto ids = parsed(R"({"input":[1]})");
  EXPECT_NE(std::get<generation_failed>(ids).message.find("token ids"), std::string::npos);
}

TEST(OpenaiEmbeddings, too_many_inputs_are_refused) {
  json::array many(static_cast<std::size_t>(max_embedding_inputs), "x");
  EXPECT_EQ(refusal(json::serialize(json::object{{"input", many}})), refused(0, ""));
  many.push_back("x");
  EXPECT_EQ(refusal(json::serialize(json::object{{"input", many}})), refused(400, "input"));
}

TEST(OpenaiEmbeddings, without_a_model_the_error_names_the_option) {
  const auto outcome = parsed(R"({"input":"a"})", nullptr);
  const auto& failed = std::get<generation_failed>(outcome);
  EXPECT_EQ(failed.status, 404);
  EXPECT_EQ(failed.code, "no_embedding_model");
  EXPECT_NE(failed.message.find("--embedding.model"), std::string::npos);
}

RC_GTEST_PROP(OpenaiEmbeddings, any_json_is_taken_or_refused_with_a_parameter_that_it_has, ()) {
  const json::object body{
      {"input", *json_value()},
      {"model", *rc::gen::oneOf(rc::gen::just(json::value("small")), json_value())},
      {"encoding_format", *rc::gen::oneOf(rc::gen::just(json::value("float")), json_value())},
      {"dimensions", *json_value()},
      {"souffleur", *json_value()}};
  const auto outcome = parse_embedding_request(body, &small);
  if (const auto* failed = std::get_if<generation_failed>(&outcome)) {
    RC_ASSERT(failed->status == 400 || failed->status == 404);
    RC_ASSERT(body.contains(failed->parameter.substr(0, failed->parameter.find_first_of("[."))));
  } else {
    RC_ASSERT(!std::get<embedding_call>(outcome).request.texts.empty());
  }
}

std::vector<float> decoded(std::string_view base64) {
  static const std::string digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes;
  std::uint32_t bits = 0;
  int n_bits = 0;
  for (const char c : base64.substr(0, base64.find('='))) {
    bits = bits << 6 | static_cast<std::uint32_t>(digits.find(c));
    n_bits += 6;
    if (n_bits >= 8) {
      n_bits -= 8;
      bytes += static_cast<char>(bits >> n_bits & 0xFF);
    }
  }
  RC_ASSERT(base64.size() % 4 == 0);
  RC_ASSERT(bytes.size() % sizeof(float) == 0);
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

RC_GTEST_PROP(OpenaiEmbeddings, both_encodings_carry_every_bit, ()) {
  embeddings answer;
  std::int64_t n_ids = 0;
  for (int n = *rc::gen::inRange(1, 4); n > 0; --n) {
    auto& text = answer.emplace_back();
    for (const auto value : *rc::gen::container<std::vector<int>>(rc::gen::arbitrary<int>()))
      text.vector.push_back(static_cast<float>(value) * 1e-10F);
    text.n_ids = *rc::gen::inRange(2, 257);
    text.is_truncated = *rc::gen::arbitrary<bool>();
    n_ids += text.n_ids;
  }
  for (const bool as_base64 : {false, true}) {
    const auto body = json::parse(json::serialize(embedding_body(answer, as_base64, "small")));
    RC_ASSERT(body.at("usage").at("prompt_tokens").as_int64() == n_ids);
    RC_ASSERT(body.at("usage").at("total_tokens").as_int64() == n_ids);
    RC_ASSERT(body.at("model") == "small");
    std::size_t n_truncated = 0;
    for (std::size_t i = 0; i < answer.size(); ++i) {
      const auto& entry = body.at("data").at(i);
      RC_ASSERT(entry.at("index").as_int64() == static_cast<std::int64_t>(i));
      std::vector<float> vector;
      if (as_base64)
        vector = decoded(entry.at("embedding").as_string());
      else
        for (const auto& number : entry.at("embedding").as_array())
          vector.push_back(number.to_number<float>());
      RC_ASSERT(vector == answer[i].vector);
      if (answer[i].is_truncated)
        RC_ASSERT(body.at("souffleur").at("truncated_inputs").at(n_truncated++).as_int64() ==
                  static_cast<std::int64_t>(i));
    }
    RC_ASSERT(body.at("souffleur").at("truncated_inputs").as_array().size() == n_truncated);
  }
}

} // namespace
} // namespace souffleur
