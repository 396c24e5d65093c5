// What is said of two questions: similarity, guards, and each policy's decision.
#include "net/cache_comparison.hpp"

#include <boost/json/parse.hpp>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>

namespace souffleur {
namespace {

namespace json = boost::json;

comparison_call call_of(const std::string& a, const std::string& b, double threshold = .9,
                        double max_error = .01) {
  return {a, b, threshold, max_error};
}

/// Two unit vectors of that cosine.
embeddings vectors_of(double cosine) {
  const auto across = static_cast<float>(std::sqrt(std::max(0.0, 1 - cosine * cosine)));
  return {{{1, 0}, 5, false}, {{static_cast<float>(cosine), across}, 5, false}};
}

std::string use_of(const json::object& body, std::size_t i) {
  return std::string{body.at("decisions").at(i).at("use").as_string()};
}

std::string refusal(const std::string& body) {
  const auto parsed = parse_comparison(json::parse(body), {});
  const auto* failed = std::get_if<generation_failed>(&parsed);
  return failed ? failed->parameter : "none";
}

TEST(CacheComparison, namesTheFieldThatIsWrong) {
  EXPECT_EQ(refusal(R"({"a":"x","b":"y"})"), "none");
  EXPECT_EQ(refusal(R"({"b":"y"})"), "a");
  EXPECT_EQ(refusal(R"({"a":"x","b":""})"), "b");
  EXPECT_EQ(refusal(R"({"a":"x","b":7})"), "b");
  EXPECT_EQ(refusal(R"({"a":"x","b":"y","threshold":1.5})"), "threshold");
  EXPECT_EQ(refusal(R"({"a":"x","b":"y","max_error":-1})"), "max_error");
  EXPECT_EQ(refusal(R"({"a":"x","b":")" + std::string(9000, 'y') + R"("})"), "b");
  EXPECT_EQ(refusal("[]"), "");
}

TEST(CacheComparison, takesTheServersRulesWhereNoneAreGiven) {
  const cache_rules rules{"bounded", .83, .05, {}};
  const auto call = std::get<comparison_call>(parse_comparison(json::parse(R"({"a":"x","b":"y"})"), rules));
  EXPECT_EQ(call.threshold, .83);
  EXPECT_EQ(call.max_error, .05);
}

TEST(CacheComparison, aGuardStopsWhatIsSimilarEnough) {
  const auto same =
      comparison_body(call_of("How do I cook rice?", "How do I cook rice well?"), vectors_of(.95), {});
  EXPECT_EQ(use_of(same, 0), "serve");
  EXPECT_EQ(use_of(same, 1), "serve");
  EXPECT_TRUE(same.at("guard").at("refused_by").is_null());
  const auto other = comparison_body(call_of("Turn the alarm on", "Turn the alarm off"), vectors_of(.95), {});
  EXPECT_EQ(use_of(other, 0), "serve");
  EXPECT_EQ(use_of(other, 1), "draft");
  EXPECT_FALSE(other.at("guard").at("refused_by").is_null());
  EXPECT_FALSE(other.at("guard").at("why").as_string().empty());
}

TEST(CacheComparison, boundedServesAboveItsCertifiedFloor) {
  cache_rules rules{"bounded", .9, .01, {}};
  const auto call = call_of("How do I cook rice?", "How do I cook rice well?");
  const auto without = comparison_body(call, vectors_of(.97), rules);
  EXPECT_TRUE(without.at("decisions").at(2).at("floor").is_null());
  EXPECT_NE(use_of(without, 2), "serve");
  rules.calibration.floors = {{.01, .96}};
  EXPECT_EQ(use_of(comparison_body(call, vectors_of(.97), rules), 2), "serve");
  EXPECT_NE(use_of(comparison_body(call, vectors_of(.95), rules), 2), "serve");
}

RC_GTEST_PROP(CacheComparison, aHigherThresholdNeverServesMore, ()) {
  const auto percent = [] { return *rc::gen::inRange(0, 101) / 100.0; };
  const auto similarity = percent(), low = percent(), high = std::max(low, percent());
  const auto serves = [&](double threshold, std::size_t i) {
    return use_of(comparison_body(call_of("a b", "a b", threshold), vectors_of(similarity), {}), i) ==
           "serve";
  };
  for (const std::size_t policy : {0, 1})
    RC_ASSERT((!serves(high, policy) || serves(low, policy)));
  RC_ASSERT(serves(low, 0) == (static_cast<float>(similarity) >= low));
}

} // namespace
} // namespace souffleur
