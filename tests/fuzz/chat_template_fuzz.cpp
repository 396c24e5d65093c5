// Chat templates that come with a model, and conversations that clients send.
#include "engine/chat_template.hpp"
#include "engine/jinja/template.hpp"
#include "tests/fuzz/target.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

namespace souffleur::fuzz {
namespace {

namespace json = boost::json;

/// A template; after a zero byte, its variables.
void take_template(std::string_view input) {
  const auto end = input.find('\0');
  const auto program = jinja::template_program::parse(input.substr(0, end));
  if (!program)
    return;
  json::error_code error;
  const auto variables =
      end == std::string_view::npos ? json::value{} : json::parse(input.substr(end + 1), error);
  // Less than the server allows: a fuzzer has to get through many.
  const jinja::limits bounds{20'000, 1 << 20, 8 << 20, 600};
  const auto text =
      program->render(variables.is_object() && !error ? variables.get_object() : json::object{}, bounds);
  require(!text || text->size() <= bounds.max_output_bytes, "no text is longer than allowed");
}

std::vector<std::string> template_seeds() {
  std::vector<std::string> seeds;
  for (const auto& line : golden_lines("jinja_cases.jsonl", 2'000)) {
    const auto row = json::parse(line);
    seeds.push_back(std::string{row.at("template").as_string()} + '\0' +
                    json::serialize(row.at("variables")));
  }
  for (const auto* name : {"template_qwen-0.5b.jinja", "template_qwen-1.5b.jinja", "template_smollm2.jinja"})
    seeds.push_back(golden(name) + '\0' +
                    R"({"messages":[{"role":"user","content":"Hi"}],"add_generation_prompt":true})");
  return seeds;
}

/// Which template, then {"messages": …, "tools": …}.
void take_messages(std::string_view input) {
  static const std::vector all = {*chat_template::parse(golden("template_qwen-0.5b.jinja")),
                                  *chat_template::parse(golden("template_qwen-1.5b.jinja")),
                                  *chat_template::parse(golden("template_smollm2.jinja")),
                                  chat_template::chatml()};
  const auto& chat = *all[take_choice(input, all.size())];
  json::error_code error;
  const auto value = json::parse(input, error);
  if (error || !value.is_object())
    return;
  chat_input said;
  if (const auto* messages = value.get_object().if_contains("messages"); messages && messages->is_array())
    said.messages = messages->get_array();
  if (const auto* tools = value.get_object().if_contains("tools"); tools && tools->is_array())
    said.tools = tools->get_array();
  (void)chat.render(said);
}

std::vector<std::string> message_seeds() {
  std::vector<std::string> seeds;
  for (const auto* name : {"chat_smollm2.jsonl", "chat_qwen2.jsonl"})
    for (const auto& line : golden_lines(name, 100)) {
      const auto row = json::parse(line).as_object();
      json::object said{{"messages", row.at("messages")}};
      if (const auto* tools = row.if_contains("tools"))
        said["tools"] = *tools;
      seeds.push_back(std::string(1, static_cast<char>(seeds.size() % 4)) + json::serialize(said));
    }
  return seeds;
}

const registered templates{{"chat-template", take_template, template_seeds}};
const registered messages{{"chat-messages", take_messages, message_seeds}};

} // namespace
} // namespace souffleur::fuzz
