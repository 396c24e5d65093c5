#include "examples/load/sse_parser.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>
#include <vector>

using souffleur::load::sse_parser;

namespace {

using events = std::vector<std::string>;

events parsed(const std::vector<std::string>& pieces) {
  sse_parser parser;
  events found;
  for (const auto& piece : pieces)
    parser.feed(piece, [&](std::string_view data) { found.emplace_back(data); });
  return found;
}

std::vector<std::string> cut(const std::string& text) {
  std::vector<std::string> pieces;
  for (std::size_t at = 0; at < text.size();) {
    const auto n = *rc::gen::inRange<std::size_t>(1, 8);
    pieces.push_back(text.substr(at, n));
    at += n;
  }
  return pieces;
}

std::string any_line_end() { return *rc::gen::element<std::string>("\n", "\r", "\r\n"); }

} // namespace

RC_GTEST_PROP(SseParser, FindsTheSameEventsHoweverTheBytesAreCut, ()) {
  const auto text = *rc::gen::container<std::string>(rc::gen::weightedElement<char>(
      {{4, '\n'}, {3, '\r'}, {2, ':'}, {2, ' '}, {2, 'd'}, {2, 'a'}, {2, 't'}, {1, 'x'}}));
  RC_ASSERT(parsed(cut(text)) == parsed({text}));
}

RC_GTEST_PROP(SseParser, GivesBackWhatWasWritten, ()) {
  std::string stream = *rc::gen::element<std::string>("", "\xEF\xBB\xBF");
  events written;
  const auto n = *rc::gen::inRange(0, 6);
  for (int i = 0; i < n; ++i) {
    const auto end = any_line_end();
    std::string data;
    const auto n_lines = *rc::gen::inRange(1, 4);
    for (int line = 0; line < n_lines; ++line) {
      const auto text = *rc::gen::container<std::string>(rc::gen::elementOf(std::string{"ab: {}\"\xC3\xA9"}));
      stream += *rc::gen::element<std::string>("", ": a comment" + end, "event: x" + end, "id: 7" + end,
                                               "database: y" + end);
      stream +=
          "data:" + (text.empty() || text.front() == ' ' ? " " : *rc::gen::element<std::string>(" ", "")) +
          text + end;
      data += (line == 0 ? "" : "\n") + text;
    }
    stream += end;
    written.push_back(data);
  }
  stream += *rc::gen::element<std::string>("", "data: cut off", "data: cut off\n");
  RC_ASSERT(parsed(cut(stream)) == written);
}

TEST(SseParser, ReadsAnOpenAiStream) {
  EXPECT_EQ(parsed({"data: {\"a\": 1}\n\ndata: {\"b\"", ": 2}\n\n", ": ping\n\n", "data: [DONE]\n\n"}),
            (events{"{\"a\": 1}", "{\"b\": 2}", "[DONE]"}));
}

TEST(SseParser, TakesAReturnAndANewlineOfTwoPiecesForOneLineEnd) {
  EXPECT_EQ(parsed({"data: a\r", "\ndata: b\r", "\n\r", "\n"}), (events{"a\nb"}));
}
