#include "engine/chat_template.hpp"
#include "engine/gguf.hpp"

#include <boost/json.hpp>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

namespace souffleur {
namespace {

namespace json = boost::json;

std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::string template_text(std::string_view model) {
  return read_file(std::filesystem::path(SOUFFLEUR_GOLDEN) / ("template_" + std::string(model) + ".jinja"));
}

chat_input input_of(const json::object& row) {
  chat_input input;
  input.messages = row.at("messages").as_array();
  if (const json::value* tools = row.if_contains("tools"); tools != nullptr && tools->is_array()) {
    input.tools = tools->get_array();
  }
  input.add_generation_prompt = row.at("add_generation_prompt").as_bool();
  return input;
}

/// Renders every row with the template it names; both must be there.
int check_rows(const std::string& file) {
  std::map<std::string, std::shared_ptr<const chat_template>> templates;
  std::ifstream in(std::filesystem::path(SOUFFLEUR_GOLDEN) / file);
  int n_rows = 0;
  for (std::string line; std::getline(in, line); ++n_rows) {
    const json::object row = json::parse(line).as_object();
    const std::string model(row.at("template_of").as_string());
    if (!templates.contains(model)) {
      auto parsed = chat_template::parse(template_text(model));
      EXPECT_TRUE(parsed.ok()) << parsed.error();
      templates[model] = parsed.value();
    }
    const auto prompt = templates[model]->render(input_of(row));
    EXPECT_TRUE(prompt.ok()) << row.at("id") << ": " << prompt.error();
    EXPECT_EQ(prompt.value(), std::string(row.at("prompt").as_string())) << row.at("id");
  }
  return n_rows;
}

TEST(ChatTemplate, RendersSmolLM2LikeTheReference) { EXPECT_EQ(check_rows("chat_smollm2.jsonl"), 56); }
TEST(ChatTemplate, RendersQwen2LikeTheReference) { EXPECT_EQ(check_rows("chat_qwen2.jsonl"), 70); }

void expect_template_of(const char* file, std::string_view model) {
  const auto path = std::filesystem::path(SOUFFLEUR_MODELS) / file;
  if (!std::filesystem::exists(path)) {
    GTEST_SKIP() << path << " is not there";
  }
  const auto opened = gguf_file::open(path);
  ASSERT_TRUE(opened.ok()) << opened.error();
  const std::string* text = (*opened)->find_string("tokenizer.chat_template");
  ASSERT_NE(text, nullptr);
  EXPECT_EQ(*text, template_text(model));
}

TEST(ChatTemplate, TestsUseTheTemplateThatSmolLM2Carries) {
  expect_template_of("SmolLM2-135M-Instruct.Q4_1.gguf", "smollm2");
}
TEST(ChatTemplate, TestsUseTheTemplateThatQwenCarries) {
  expect_template_of("Qwen2.5-Coder-0.5B-Instruct.Q4_K_M.gguf", "qwen-0.5b");
}
TEST(ChatTemplate, TestsUseTheTemplateThatTheLargerQwenCarries) {
  expect_template_of("Qwen2.5-Coder-1.5B-Instruct.Q4_K_M.gguf", "qwen-1.5b");
}

// -- messages of other shapes than text ---

chat_input conversation(const char* messages) {
  chat_input input;
  input.messages = json::parse(messages).as_array();
  return input;
}

std::string rendered(const std::string& source, const chat_input& input) {
  const auto parsed = chat_template::parse(source);
  if (!parsed.ok()) {
    return "parse: " + std::string(parsed.error());
  }
  const auto prompt = (*parsed)->render(input);
  return prompt.ok() ? *prompt : std::string("render: ").append(prompt.error());
}

const std::string parts_aware = "{% for m in messages %}{% if m.content is string %}{{ m.content }}{% else %}"
                                "{% for p in m.content %}<{{ p.text }}>{% endfor %}{% endif %}{% endfor %}";

TEST(ChatTemplate, JoinsTextPartsForTemplatesThatTakeTextOnly) {
  const auto input =
      conversation(R"([{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}])");
  EXPECT_EQ(rendered("{% for m in messages %}{{ 'x' + m.content }}{% endfor %}", input), "xa\nb");
  EXPECT_EQ(rendered("{% for m in messages %}{{ m.content }}{% endfor %}", input), "a\nb");
  EXPECT_EQ(rendered(parts_aware, input), "<a><b>");
}

TEST(ChatTemplate, RefusesPartsThatItCannotShow) {
  const auto input =
      conversation(R"([{"role":"user","content":[{"type":"image_url","image_url":{"url":"u"}}]}])");
  EXPECT_EQ(rendered("{% for m in messages %}{{ m.content }}{% endfor %}", input),
            "render: this model takes text only, not a content part of type 'image_url'");
}

TEST(ChatTemplate, GivesEmptyTextForNullWhereTheTemplateFailsOnNull) {
  const auto input = conversation(R"([{"role":"user","content":"q"},{"role":"assistant","content":null}])");
  EXPECT_EQ(rendered("{% for m in messages %}[{{ m.content + '.' }}]{% endfor %}", input), "[q.][.]");
  EXPECT_EQ(rendered("{% for m in messages %}[{{ m.content }}]{% endfor %}", input), "[q][]");
  EXPECT_EQ(rendered("{% for m in messages %}[{{ 'null' if m.content is none else m.content }}]{% endfor %}",
                     input),
            "[q][null]");
}

TEST(ChatTemplate, GivesArgumentsOfToolCallsAsTheTemplateTakesThem) {
  const auto input = conversation(R"([{"role":"assistant","content":"",
      "tool_calls":[{"function":{"name":"f","arguments":"{\"a\": [1, 2.0]}"}}]}])");
  const std::string calls = "{% for m in messages %}{% for c in m.tool_calls or [] %}";
  const std::string ends = "{% endfor %}{% endfor %}";
  EXPECT_EQ(rendered(calls + "{{ c.function.arguments | tojson }}" + ends, input), R"({"a": [1, 2.0]})");
  EXPECT_EQ(rendered(calls + "{{ 'x' + c.function.arguments }}" + ends, input), R"(x{"a": [1, 2.0]})");
}

TEST(ChatTemplate, ChatmlMarksEveryMessageAndTheTurnToCome) {
  auto input = conversation(R"([{"role":"system","content":" s\n"},{"role":"user","content":"{{ q }}"}])");
  EXPECT_EQ(
      chat_template::chatml()->render(input).value(),
      "<|im_start|>system\n s\n<|im_end|>\n<|im_start|>user\n{{ q }}<|im_end|>\n<|im_start|>assistant\n");
  input.add_generation_prompt = false;
  input.messages.pop_back();
  EXPECT_EQ(chat_template::chatml()->render(input).value(), "<|im_start|>system\n s\n<|im_end|>\n");
}

TEST(ChatTemplate, ChatmlBeginsWithTheBosOfAModelThatAddsOne) {
  auto input = conversation(R"([{"role":"user","content":"q"}])");
  input.add_generation_prompt = false;
  input.bos_token = "<bos>";
  EXPECT_EQ(chat_template::chatml()->render(input).value(), "<|im_start|>user\nq<|im_end|>\n");
  input.adds_bos = true;
  EXPECT_EQ(chat_template::chatml()->render(input).value(), "<bos><|im_start|>user\nq<|im_end|>\n");
}

TEST(ChatTemplate, ErrorsSayThatTheTemplateIsMeant) {
  EXPECT_EQ(chat_template::parse("\n{% include 'x' %}").error(),
            "chat template, line 2: the statement 'include' is not supported here");
}

} // namespace
} // namespace souffleur
