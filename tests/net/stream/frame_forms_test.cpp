// The schema says what the server takes and sends.
#include "net/stream/frame_forms.hpp"

#include "net/stream/command.hpp"
#include "tests/net/random_json.hpp"
#include "tests/net/stream/frame_schema.hpp"

#include <boost/json/serialize.hpp>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <fstream>
#include <sstream>

namespace souffleur {
namespace {

namespace json = boost::json;
using namespace testing;

std::string word_in_code(std::string_view word) { return "`" + std::string{word} + "`"; }

TEST(frame_forms, areAllInTheReadme) {
  std::ifstream file{SOUFFLEUR_SOURCE "/net/README.md"};
  std::ostringstream read;
  read << file.rdbuf();
  const auto text = read.str();
  for (const auto forms : {client_frames(), server_frames()})
    for (const auto& form : forms) {
      EXPECT_NE(text.find(word_in_code(form.type)), std::string::npos) << form.type;
      for (const auto& field : form.fields)
        EXPECT_NE(text.find(word_in_code(field.name)), std::string::npos) << form.type << "." << field.name;
    }
}

TEST(frame_forms, theSchemaIsNotAnything) {
  auto server = frame_schema::of_server();
  EXPECT_TRUE(server.allows_text(R"({"type":"pong"})"));
  EXPECT_TRUE(server.allows_text(R"({"type":"pong","data":"x"})"));
  EXPECT_FALSE(server.allows_text(R"({"type":"pong","data":5})"));
  EXPECT_FALSE(server.allows_text(R"({"type":"pong","other":5})"));
  EXPECT_FALSE(server.allows_text(R"({"type":"ping"})"));
  EXPECT_FALSE(server.allows_text(R"({"type":"delta","id":"a","seq":-1,"text":"","tokens":[]})"));
  EXPECT_TRUE(server.allows_text(R"({"type":"delta","id":"a","seq":0,"text":"","tokens":[]})"));
  auto client = frame_schema::of_client();
  EXPECT_TRUE(client.allows_text(R"({"type":"cancel","id":"a","other":5})"));
  EXPECT_FALSE(client.allows_text(R"({"type":"cancel","id":""})"));
  EXPECT_FALSE(client.allows_text(R"({"type":"credit","id":"a","tokens":0})"));
  EXPECT_FALSE(client.allows_text(R"({"type":"dance"})"));
}

/// JSON Schema takes 5.0 for an integer since its sixth draft; this validator does not.
json::object with_plain_integers(json::object frame) {
  for (auto& [name, value] : frame)
    if (value.is_double() && std::trunc(value.get_double()) == value.get_double() &&
        std::abs(value.get_double()) < 9e15)
      value = static_cast<std::int64_t>(value.get_double());
  return frame;
}

RC_GTEST_PROP(frame_forms_law, whatIsObeyedIsAsTheSchemaSays, ()) {
  static auto client = frame_schema::of_client();
  const auto& form =
      *rc::gen::elementOf(std::vector<frame_form>(client_frames().begin(), client_frames().end()));
  json::object frame{{"type", form.type}, {"id", "a"},    {"prompt", "x"}, {"tokens", 1},
                     {"max_tokens", 1},   {"token", "t"}, {"after", 0}};
  for (const auto& field : form.fields)
    if (*rc::gen::inRange(0, 4) == 0) {
      const auto edge =
          *rc::gen::element<std::int64_t>(field.least - 1, field.least, field.most, field.most - 1);
      const auto past = field.most < std::numeric_limits<std::int64_t>::max() ? field.most + 1 : field.most;
      frame[field.name] =
          *rc::gen::oneOf(json_value(1), rc::gen::just(json::value(edge)), rc::gen::just(json::value(past)));
    }
  const bool obeyed =
      std::holds_alternative<stream_command>(parse_stream_command(json::serialize(frame), "served"));
  RC_TAG(obeyed ? "obeyed" : "refused");
  const bool allowed = client.allows(with_plain_integers(frame));
  RC_ASSERT(!obeyed || allowed);
  // What the schema does not allow in our own fields is refused; the rest is OpenAI's.
  bool own_is_wrong = false;
  for (const auto& field : form.fields)
    if (field.kind != field_kind::other) {
      json::object one{{"type", form.type}, {"id", "a"},    {"prompt", "x"},
                       {"tokens", 1},       {"token", "t"}, {"after", 0}};
      if (frame.contains(field.name))
        one[field.name] = frame[field.name];
      own_is_wrong |= !client.allows(with_plain_integers(one));
    }
  RC_ASSERT(!(obeyed && own_is_wrong));
}

} // namespace
} // namespace souffleur
