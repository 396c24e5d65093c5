// A request's trace as Chrome's trace events.
#include "net/trace_events.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <map>

namespace souffleur {
namespace {

namespace json = boost::json;
using std::chrono::milliseconds;

const steady_time arrival{std::chrono::hours{5}};

constexpr std::int64_t came_unix_us = 1'764'000'000'000'123;

steady_time at(int ms) { return arrival + milliseconds{ms}; }

/// Came at 0 ms, was looked up until 5, waited until 20, had its first token at 60 and its last at 100.
request_trace example() {
  request_trace trace;
  auto& request = trace.request;
  request.outcome = "stop";
  request.id = 3;
  request.generation = 3 | flight_bit;
  request.times = {arrival, at(2), at(5), at(20), at(60), at(100)};
  for (int i = 0; i < 2; ++i) {
    step_report step;
    step.began = at(20 + 40 * i);
    step.scheduling_us = 1000;
    step.messages_us = 2000;
    step.forward_us = 30000;
    step.sampling_us = 4000;
    step.shares = {{.id = 9}, {.id = request.generation, .n_prompt = 10, .n_computed = 10 * i, .n_rows = 4}};
    trace.steps.push_back({static_cast<std::uint64_t>(i + 1), std::make_shared<const step_report>(step)});
  }
  return trace;
}

/// [ts, ts + dur] by name, of complete events; the last of a name.
std::map<std::string, std::pair<double, double>> spans_of(const json::object& trace) {
  std::map<std::string, std::pair<double, double>> spans;
  for (const auto& event : trace.at("traceEvents").as_array())
    if (event.at("ph").as_string() == "X") {
      const auto from = event.at("ts").to_number<double>();
      spans[std::string{event.at("name").as_string()}] = {from, from + event.at("dur").to_number<double>()};
    }
  return spans;
}

using span = std::pair<double, double>;

TEST(TraceEvents, phasesFollowEachOther) {
  const auto spans = spans_of(trace_events(example(), {}, "1-3", came_unix_us));
  EXPECT_EQ(spans.at("request"), (span{0, 100'000}));
  EXPECT_EQ(spans.at("prepare"), (span{0, 2000}));
  EXPECT_EQ(spans.at("cache lookup"), (span{2000, 5000}));
  EXPECT_EQ(spans.at("queue"), (span{5000, 20'000}));
  EXPECT_EQ(spans.at("prefill"), (span{20'000, 60'000}));
  EXPECT_EQ(spans.at("decode"), (span{60'000, 100'000}));
}

TEST(TraceEvents, stepsSayWhatTheyWereForAndWhereTheirTimeWent) {
  const auto spans = spans_of(trace_events(example(), {}, "1-3", came_unix_us));
  EXPECT_EQ(spans.at("prefill step"), (span{20'000, 57'000}));
  EXPECT_EQ(spans.at("decode step"), (span{60'000, 97'000}));
  EXPECT_EQ(spans.at("forward"), (span{63'000, 93'000}));
  EXPECT_EQ(spans.at("sample"), (span{93'000, 97'000}));
}

TEST(TraceEvents, whatWasWrittenHasATrackOfItsOwn) {
  const written_part part{at(61), at(63)};
  EXPECT_EQ(spans_of(trace_events(example(), {&part, 1}, "1-3", came_unix_us)).at("write"),
            (span{61'000, 63'000}));
}

TEST(TraceEvents, aStoredAnswerHasNoQueueAndNoPrefill) {
  request_trace trace;
  trace.request.times = {arrival, {}, {}, {}, at(4), at(9)};
  trace.request.usage.source = answer_source::exact;
  const auto spans = spans_of(trace_events(trace, {}, "1-3", came_unix_us));
  EXPECT_EQ(spans.size(), 3U);
  EXPECT_EQ(spans.at("cache lookup"), (span{0, 4000}));
  EXPECT_EQ(spans.at("replay"), (span{4000, 9000}));
}

TEST(TraceEvents, ofARequestThatNeverGotATokenOnlyThatIsShownWhichHappened) {
  request_trace trace;
  trace.request.outcome = "cancelled";
  trace.request.times = {arrival, at(1), {}, {}, {}, at(9)};
  const auto spans = spans_of(trace_events(trace, {}, "1-3", came_unix_us));
  EXPECT_EQ(spans.size(), 3U);
  EXPECT_EQ(spans.at("queue"), (span{1000, 9000}));
}

TEST(TraceEvents, sayWhenTheRequestCame) {
  const auto trace = trace_events(example(), {}, "1-3", came_unix_us);
  EXPECT_EQ(trace.at("otherData").at("came_unix_us").as_int64(), came_unix_us);
}

TEST(TraceEvents, tellNothingOfOtherRequests) {
  const auto text = json::serialize(trace_events(example(), {}, "1-3", came_unix_us));
  EXPECT_EQ(text.find("\"id\""), std::string::npos);
}

RC_GTEST_PROP(RequestNames, areReadBack, (request_id id)) {
  const auto began = *rc::gen::inRange<std::int64_t>(0, 1LL << 40);
  const auto name = request_name(id, began);
  for (const auto* before : {"", "chatcmpl-", "cmpl-"})
    RC_ASSERT(request_named(before + name, began) == id);
  RC_ASSERT(request_named("req-" + std::to_string(id), began) == id);
  RC_ASSERT(!request_named(name, began + 1));
  RC_ASSERT(!request_named(name + "x", began));
  RC_ASSERT(!request_named("1" + name, began));
}

TEST(RequestNames, othersAreNone) {
  for (const auto* name : {"", "-", "7", "7-", "7--1", "chatcmpl-7-", "7-99999999999999999999999"})
    EXPECT_FALSE(request_named(name, 7)) << name;
}

} // namespace
} // namespace souffleur
