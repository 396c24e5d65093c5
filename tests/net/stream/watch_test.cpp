// The frames of a watch.
#include "net/stream/watch.hpp"

#include <boost/json/parse.hpp>
#include <gtest/gtest.h>

namespace souffleur {
namespace {

namespace json = boost::json;

serving_snapshot seen_at(int ms, std::vector<std::uint64_t> steps) {
  serving_snapshot seen;
  seen.now = steady_time{std::chrono::milliseconds{ms}};
  seen.n_running = 1;
  for (const auto number : steps) {
    step_report step;
    step.began = seen.now - std::chrono::milliseconds{20};
    step.n_rows = 3;
    step.shares = {{.id = 5 | flight_bit, .n_prompt = 7, .n_output = 2}};
    seen.steps.push_back({number, std::make_shared<const step_report>(step)});
  }
  return seen;
}

const served_model model{"m", "f", 100, 100, 0, 0, 4096};

TEST(StreamWatch, isDueAtOnceAndThenAtItsInterval) {
  stream_watch watch{"w", std::chrono::milliseconds{500}};
  EXPECT_LE(watch.due(), steady_time{});
  const auto first = json::parse(watch.frame(seen_at(1000, {1, 2}), nullptr, model)).as_object();
  EXPECT_EQ(first.at("type").as_string(), "watched");
  EXPECT_EQ(first.at("id").as_string(), "w");
  EXPECT_EQ(first.at("seq").as_int64(), 0);
  EXPECT_EQ(watch.due(), steady_time{std::chrono::milliseconds{1500}});
  EXPECT_EQ(watch.last_step(), 2U);
  const auto second = json::parse(watch.frame(seen_at(1700, {}), nullptr, model)).as_object();
  EXPECT_EQ(second.at("seq").as_int64(), 1);
  EXPECT_EQ(watch.due(), steady_time{std::chrono::milliseconds{2200}});
  EXPECT_EQ(watch.last_step(), 2U);
  watch.change_interval(std::chrono::milliseconds{100});
  EXPECT_LE(watch.due(), steady_time{});
  const auto last = json::parse(watch.last_frame()).as_object();
  EXPECT_EQ(last.at("type").as_string(), "unwatched");
  EXPECT_EQ(last.at("seq").as_int64(), 2);
}

TEST(StreamWatch, tellsOfStepsAndGenerationsInNumbers) {
  const auto body = watched_body(seen_at(1000, {4}), nullptr, model);
  const auto& step = body.at("steps").at(0).as_object();
  EXPECT_EQ(step.at("n").to_number<int>(), 4);
  EXPECT_EQ(step.at("age_ms").to_number<int>(), 20);
  EXPECT_EQ(step.at("rows").to_number<int>(), 3);
  const auto& one = body.at("generations").at(0).as_object();
  EXPECT_EQ(one.at("n").to_number<int>(), 5) << "as its client knows it";
  EXPECT_EQ(one.at("prompt").to_number<int>(), 7);
  EXPECT_TRUE(body.at("kv").at("tree").is_null());
}

TEST(StreamWatch, thoseThatHaveEndedAreNoLongerShown) {
  auto seen = seen_at(1000, {4});
  seen.n_running = 0;
  EXPECT_TRUE(watched_body(seen, nullptr, model).at("generations").as_array().empty());
}

TEST(StreamWatch, aPrefixNamesTheOneThatItFollows) {
  kv_summary kv;
  kv.most_hit = {{7, 48, 16, 5, 2, 3}};
  const auto body = watched_body(seen_at(1, {}), &kv, model);
  const auto& prefix = body.at("kv").at("tree").at("shown").at(0);
  EXPECT_EQ(prefix.at("id").to_number<int>(), 7);
  EXPECT_EQ(prefix.at("parent").to_number<int>(), 3);
  EXPECT_EQ(prefix.at("own").to_number<int>(), 16);
  EXPECT_EQ(prefix.at("users").to_number<int>(), 2);
}

TEST(StreamWatch, aFrameIsBounded) {
  auto seen = seen_at(1000, {1});
  step_report crowded;
  crowded.shares.resize(1000);
  seen.steps.push_back({2, std::make_shared<const step_report>(crowded)});
  EXPECT_EQ(watched_body(seen, nullptr, model).at("generations").as_array().size(), most_watched_generations);
}

} // namespace
} // namespace souffleur
