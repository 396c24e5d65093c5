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

} // namespace
} // namespace souffleur
