#include "net/tool_call_reader.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>
#include <vector>

namespace souffleur {
namespace {

struct answer {
  std::string text;
  std::vector<tool_call> calls;
  bool operator==(const answer&) const = default;
};

void add(answer& to, const tool_call_reader::piece& piece) {
  to.text += piece.text;
  to.calls.insert(to.calls.end(), piece.calls.begin(), piece.calls.end());
}

answer whole(const std::string& text) {
  tool_call_reader reader;
  answer made;
  add(made, reader.read(text));
  add(made, reader.finish());
  return made;
}

const std::string weather =
    "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Bern\"}}\n</tool_call>";
const tool_call weather_call{"weather", R"({"city":"Bern"})"};

TEST(tool_call_reader, calls_are_taken_out_of_the_text_and_blanks_around_them_go) {
  EXPECT_EQ(whole(weather), (answer{"", {weather_call}}));
  EXPECT_EQ(whole("I look.\n" + weather + "\n" + weather + "\n"),
            (answer{"I look.", {weather_call, weather_call}}));
  EXPECT_EQ(whole(R"(<tool_call>{"name": "now"}</tool_call>)"), (answer{"", {{"now", "{}"}}}));
  EXPECT_EQ(whole(R"(<tool_call>{"name": "f", "parameters": {"a": 1.5}}</tool_call>)"),
            (answer{"", {{"f", R"({"a":1.5})"}}}));
}

TEST(tool_call_reader, the_last_end_may_be_missing) {
  EXPECT_EQ(whole(weather.substr(0, weather.size() - 12)), (answer{"", {weather_call}}));
}

TEST(tool_call_reader, what_is_no_call_stays_text) {
  for (const auto* text : {"plain ", "", "a < b", "<tool_call", "<tool_call>\n{\"name\": 3}</tool_call> x",
                           "<tool_call>{\"name\": \"f\", \"arguments\": [1]}</tool_call>",
                           "<tool_call>{\"name\": \"f\", \"arg", "<tool_call></tool_call>"})
    EXPECT_EQ(whole(text), (answer{text, {}})) << text;
}

RC_GTEST_PROP(tool_call_reader_property, how_the_text_was_cut_makes_no_difference, ()) {
  std::string text;
  for (int n = *rc::gen::inRange(0, 6); n > 0; --n)
    text += *rc::gen::element<std::string>(std::string{weather}, "<tool_call>", "</tool_call>", "<tool", " ",
                                           "\n", "words", "<", "{\"name\": \"f\"}", "é");
  tool_call_reader reader;
  answer made;
  for (std::size_t at = 0; at < text.size();) {
    const auto n = *rc::gen::inRange<std::size_t>(0, 9);
    add(made, reader.read(std::string_view{text}.substr(at, n)));
    at += n;
  }
  const auto before = made.calls.size();
  RC_ASSERT(reader.n_calls() == static_cast<int>(before));
  add(made, reader.finish());
  RC_ASSERT(made == whole(text));
}

} // namespace
} // namespace souffleur
