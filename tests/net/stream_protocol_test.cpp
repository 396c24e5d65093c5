// One stream's frames against a model of what was pushed and granted; frames that clients may send.
#include "net/stream_protocol.hpp"

#include "tests/net/random_json.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <array>
#include <limits>

namespace souffleur {
namespace {

namespace json = boost::json;
using namespace testing;

token_origin origin_of(const std::string& word) {
  return static_cast<token_origin>(word.size() % n_token_origins);
}

generated_token token_of(token_id id, const std::string& text) {
  return {id, origin_of(text), text, text, {}};
}

generation_event delta_of(const std::vector<std::string>& words, const std::string& tail = "") {
  generation_delta delta;
  for (const auto& word : words)
    delta.tokens.push_back(token_of(static_cast<token_id>(word.size()), word));
  delta.tail = tail;
  return delta;
}

/// Id and origin.
using shown_token = std::pair<std::int64_t, std::string>;

struct frames_so_far {
  std::vector<json::object> frames;
  std::string text;
  std::vector<shown_token> tokens;

  void take(const std::string& frame) {
    frames.push_back(json::parse(frame).as_object());
    if (frames.back().at("type") != "delta")
      return;
    text += frames.back().at("text").as_string();
    for (const auto& token : frames.back().at("tokens").as_array())
      tokens.emplace_back(token.at("id").to_number<std::int64_t>(), token.at("origin").as_string());
  }
  void take_all(stream_outbox& outbox) {
    while (const auto frame = outbox.next())
      take(*frame);
  }
  std::string last_type() const {
    return frames.empty() ? "" : std::string{frames.back().at("type").as_string()};
  }
};

struct pushed_delta {
  std::vector<std::string> words;
  std::string tail;
};

rc::Gen<pushed_delta> any_delta() {
  return rc::gen::build<pushed_delta>(
      rc::gen::set(&pushed_delta::words,
                   rc::gen::scale(0.1, rc::gen::container<std::vector<std::string>>(unicode_text()))),
      rc::gen::set(&pushed_delta::tail, rc::gen::oneOf(rc::gen::just(std::string{}), unicode_text())));
}

generation_event any_end() {
  if (*rc::gen::arbitrary<bool>())
    return generation_finished{};
  return generation_failed{500, "x", "y", "", 0};
}

/// Planted bug that it caught: whoever drafted a token, it is shown as the model's.
RC_GTEST_PROP(stream_outbox_law, creditsDelayFramesAndChangeNothingElse, ()) {
  const auto credit = *rc::gen::maybe(rc::gen::inRange<std::int64_t>(0, 5));
  std::optional<std::int64_t> first;
  if (credit)
    first = *credit;
  stream_outbox outbox{"s", "m", first};
  bool limited = first.has_value();
  std::int64_t granted = first.value_or(0);
  std::int64_t n_sent_freely = 0;
  frames_so_far got;
  const auto drain = [&] {
    got.take_all(outbox);
    if (!limited)
      n_sent_freely = static_cast<std::int64_t>(got.tokens.size());
    else
      RC_ASSERT(static_cast<std::int64_t>(got.tokens.size()) <= n_sent_freely + granted);
  };

  std::string text;
  std::vector<shown_token> tokens;
  outbox.push(generation_accepted{1, 2});
  for (const auto& delta : *rc::gen::container<std::vector<pushed_delta>>(any_delta())) {
    for (const auto& word : delta.words) {
      tokens.emplace_back(static_cast<std::int64_t>(word.size()), to_string(origin_of(word)));
      text += word;
    }
    text += delta.tail;
    outbox.push(delta_of(delta.words, delta.tail));
    if (*rc::gen::arbitrary<bool>())
      drain();
    if (*rc::gen::inRange(0, 3) == 0) {
      drain();
      const auto n = *rc::gen::inRange<std::int64_t>(1, 6);
      granted += n;
      limited = true;
      outbox.grant(n);
    }
    RC_ASSERT(outbox.n_held_tokens() == tokens.size() - got.tokens.size());
    RC_ASSERT(!outbox.finished());
  }
  outbox.push(any_end());
  drain();
  // Everything that the credit allows was sent.
  if (limited)
    RC_ASSERT(static_cast<std::int64_t>(got.tokens.size()) ==
              std::min(static_cast<std::int64_t>(tokens.size()), n_sent_freely + granted));
  outbox.grant(1 << 20);
  got.take_all(outbox);

  RC_ASSERT(outbox.finished());
  RC_ASSERT(got.text == text);
  RC_ASSERT(got.tokens == tokens);
  RC_ASSERT(outbox.n_held_tokens() == 0U);
  for (std::size_t i = 0; i < got.frames.size(); ++i) {
    const auto& frame = got.frames[i];
    RC_ASSERT(frame.at("seq").to_number<std::size_t>() == i);
    RC_ASSERT(frame.at("id") == "s");
    const std::string type{frame.at("type").as_string()};
    const bool last = i + 1 == got.frames.size();
    RC_ASSERT((type == "accepted") == (i == 0));
    RC_ASSERT((type == "done" || type == "error") == last);
  }
}

RC_GTEST_PROP(stream_outbox_law, anAbandonedStreamEndsWithoutCredit, ()) {
  stream_outbox outbox{"s", "m", 0};
  frames_so_far got;
  outbox.push(generation_accepted{1, 2});
  const auto before = *rc::gen::container<std::vector<pushed_delta>>(any_delta());
  // A step that was under way when the client cancelled still reports.
  const auto after = *rc::gen::container<std::vector<pushed_delta>>(any_delta());
  for (const auto& delta : before)
    outbox.push(delta_of(delta.words, delta.tail));
  if (*rc::gen::arbitrary<bool>())
    got.take_all(outbox);
  outbox.abandon();
  for (const auto& delta : after)
    outbox.push(delta_of(delta.words, delta.tail));
  outbox.push(any_end());
  got.take_all(outbox);
  RC_ASSERT(outbox.finished());
  RC_ASSERT(got.tokens.empty());
  RC_ASSERT(outbox.n_held_tokens() == 0U);
  for (std::size_t i = 0; i < got.frames.size(); ++i)
    RC_ASSERT(got.frames[i].at("seq").to_number<std::size_t>() == i);
}

TEST(stream_outbox, theTailGoesWithTheLastTokenOfItsDelta) {
  stream_outbox outbox{"s", "m", 1};
  outbox.push(delta_of({"a", "b"}, "tail"));
  frames_so_far got;
  got.take_all(outbox);
  EXPECT_EQ(got.text, "a");
  outbox.grant(1);
  got.take_all(outbox);
  EXPECT_EQ(got.text, "abtail");
}

TEST(stream_outbox, aStepIsToldWithItsLastTokenIfItIsTraced) {
  stream_outbox outbox{"s", "m", 1};
  auto traced = std::get<generation_delta>(delta_of({"a", "b"}));
  traced.step = step_trace{9, 3, 1, token_origin::recycling, 4.5};
  outbox.push(traced);
  generation_delta last;
  last.step = step_trace{1, 0, 0, token_origin::suffix, 2};
  outbox.push(last);
  outbox.push(delta_of({"c"}));
  frames_so_far got;
  got.take_all(outbox);
  outbox.grant(2);
  got.take_all(outbox);
  ASSERT_EQ(got.frames.size(), 4U);
  EXPECT_FALSE(got.frames[0].contains("step"));
  EXPECT_EQ(got.frames[1].at("step"),
            json::parse(R"({"rows":9,"drafted":3,"accepted":1,"drafter":"recycling","ms":4.5})"));
  EXPECT_EQ(got.frames[2].at("step"),
            json::parse(R"({"rows":1,"drafted":0,"accepted":0,"drafter":null,"ms":2.0})"));
  EXPECT_EQ(got.frames[2].at("tokens"), json::array{});
  EXPECT_FALSE(got.frames[3].contains("step"));
}

TEST(stream_outbox, framesAreJsonWhateverTheLogprobs) {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  stream_outbox outbox{"s", "m", {}};
  generation_delta delta;
  for (const float value : {-infinity, infinity, std::numeric_limits<float>::quiet_NaN(), -1e30F, -0.5F}) {
    auto token = token_of(1, "a");
    token.logprobs = token_logprobs{};
    token.logprobs->chosen = value;
    token.logprobs->top = {{7, value}};
    delta.tokens.push_back(token);
  }
  outbox.push(delta);
  frames_so_far got;
  ASSERT_NO_THROW(got.take_all(outbox));
  EXPECT_EQ(got.frames.at(0).at("tokens").at(0).at("logprob"), -9999.0);
  EXPECT_EQ(got.frames.at(0).at("tokens").at(0).at("top_logprobs").at(0).at("logprob"), -9999.0);
  EXPECT_EQ(got.frames.at(0).at("tokens").at(4).at("logprob"), -0.5);
}

TEST(stream_outbox, anEndSaysWhatStoppedIt) {
  stream_outbox outbox{"s", "m", {}};
  generation_finished end{finish_reason::stop, "END", {}};
  end.usage.n_output_tokens = 7;
  outbox.push(end);
  frames_so_far got;
  got.take_all(outbox);
  EXPECT_EQ(got.frames.at(0).at("finish_reason"), "stop");
  EXPECT_EQ(got.frames.at(0).at("stop_string"), "END");
  EXPECT_EQ(got.frames.at(0).at("usage").at("completion_tokens"), 7);
}

TEST(stream_outbox, anEndSaysHowItsDraftsFared) {
  stream_outbox outbox{"s", "m", {}};
  generation_finished end;
  end.usage.n_drafted_tokens = 9;
  end.usage.n_accepted_tokens = 4;
  end.usage.n_steps = 7;
  end.usage.lossy = true;
  outbox.push(end);
  frames_so_far got;
  got.take_all(outbox);
  EXPECT_EQ(got.frames.at(0).at("speculation"),
            json::parse(R"({"drafted_tokens":9,"accepted_tokens":4,"steps":7,"lossy":true})"));
  EXPECT_EQ(got.frames.at(0).at("usage").at("completion_tokens_details"),
            json::parse(R"({"accepted_prediction_tokens":4,"rejected_prediction_tokens":5})"));
}

/// Clients colour and count by them.
TEST(stream_outbox, originsHaveTheNamesOfTheProtocol) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < n_token_origins; ++i)
    names.emplace_back(to_string(static_cast<token_origin>(i)));
  EXPECT_EQ(names, (std::vector<std::string>{"model", "prompt_lookup", "suffix", "answers", "prediction",
                                             "recycling", "draft_model", "cache"}));
}

generation_failed refusal_of(const std::string& frame, std::string* stream = nullptr) {
  const auto parsed = parse_stream_command(frame, "served");
  const auto* refused = std::get_if<refused_command>(&parsed);
  if (refused == nullptr)
    return {};
  if (stream != nullptr)
    *stream = refused->stream;
  return refused->error;
}

TEST(stream_commands, areReadAsWritten) {
  auto parsed = parse_stream_command(R"({"type":"credit","id":"a","tokens":7})", "served");
  auto* command = std::get_if<stream_command>(&parsed);
  ASSERT_NE(command, nullptr);
  EXPECT_EQ(std::get<credit_command>(*command).stream, "a");
  EXPECT_EQ(std::get<credit_command>(*command).n_tokens, 7);

  parsed = parse_stream_command(R"({"type":"cancel","id":"b"})", "served");
  command = std::get_if<stream_command>(&parsed);
  ASSERT_NE(command, nullptr);
  EXPECT_EQ(std::get<cancel_command>(*command).stream, "b");

  parsed = parse_stream_command(R"({"type":"generate","id":"c","prompt":"x","credit":0,"seed":5})", "served");
  command = std::get_if<stream_command>(&parsed);
  ASSERT_NE(command, nullptr);
  const auto& generate = std::get<generate_command>(*command);
  EXPECT_EQ(generate.stream, "c");
  EXPECT_EQ(generate.credit, 0);
  EXPECT_EQ(generate.request.sampling.seed, 5U);
  EXPECT_EQ(std::get<text_prompt>(generate.request.prompt).text, "x");
}

TEST(stream_commands, aRefusalNamesStreamAndParameter) {
  const std::vector<std::array<const char*, 3>> cases{
      {R"({"type":"generate","prompt":"x"})", "", "id"},
      {R"({"type":"generate","id":7,"prompt":"x"})", "", "id"},
      {R"({"type":"generate","id":"","prompt":"x"})", "", "id"},
      {R"({"id":"a"})", "a", "type"},
      {R"({"type":5,"id":"a"})", "a", "type"},
      {R"({"type":"dance","id":"a"})", "a", "type"},
      {R"({"type":"credit","id":"a"})", "a", "tokens"},
      {R"({"type":"credit","id":"a","tokens":0})", "a", "tokens"},
      {R"({"type":"generate","id":"a"})", "a", "messages"},
      {R"({"type":"generate","id":"a","prompt":"x","credit":-1})", "a", "credit"},
      {R"({"type":"generate","id":"a","prompt":"x","n":2})", "a", "n"},
      {R"({"type":"generate","id":"a","prompt":["x","y"]})", "a", "n"},
      {R"({"type":"generate","id":"a","prompt":"x","temperature":9})", "a", "temperature"},
      {R"({"type":"generate","id":"a","messages":[],"temperature":1})", "a", "messages"}};
  for (const auto& [frame, stream, parameter] : cases) {
    std::string named;
    EXPECT_EQ(refusal_of(frame, &named).parameter, parameter) << frame;
    EXPECT_EQ(named, stream) << frame;
  }
  EXPECT_EQ(refusal_of("{").code, "invalid_json");
  EXPECT_EQ(refusal_of("[]").code, "invalid_type");
  const std::string long_id(max_stream_id_bytes + 1, 'x');
  EXPECT_EQ(refusal_of(R"({"type":"cancel","id":")" + long_id + "\"}").parameter, "id");
}

RC_GTEST_PROP(stream_commands_law, anyBytesAreRefusedWithAFrame, ()) {
  const auto bytes = *broken_text();
  const auto parsed = parse_stream_command(bytes, "served");
  if (const auto* refused = std::get_if<refused_command>(&parsed))
    RC_ASSERT(json::parse(refusal_frame(*refused)).at("type") == "error");
}

RC_GTEST_PROP(stream_commands_law, anyObjectIsACommandOrARefusalOfAParameter, ()) {
  json::object frame{{"id", *rc::gen::element<std::string>("a", "b")}};
  frame["type"] = *rc::gen::element<std::string>("generate", "credit", "cancel");
  for (const auto* name :
       {"id", "type", "credit", "tokens", "prompt", "messages", "n", "stream", "souffleur"})
    if (*rc::gen::inRange(0, 3) == 0)
      frame[name] = *json_value();
  const auto parsed = parse_stream_command(json::serialize(frame), "served");
  if (const auto* refused = std::get_if<refused_command>(&parsed)) {
    RC_ASSERT(refused->error.status / 100 == 4);
    RC_ASSERT(!refused->error.parameter.empty());
    RC_ASSERT(!refused->error.message.empty());
    const auto shown = json::parse(refusal_frame(*refused));
    RC_ASSERT(shown.at("error").at("message").is_string());
  }
}

} // namespace
} // namespace souffleur
