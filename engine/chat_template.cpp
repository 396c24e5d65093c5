#include "engine/chat_template.hpp"

#include "engine/chat_shapes.hpp"
#include "engine/jinja/template.hpp"

#include <boost/json/object.hpp>

namespace souffleur {
namespace {

constexpr std::string_view chatml_source = R"({%- if adds_bos %}{{ bos_token }}{% endif -%}
{%- for message in messages -%}
{{ '<|im_start|>' ~ message.role ~ '\n' ~ message.content ~ '<|im_end|>\n' }}
{%- endfor -%}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif -%})";

class jinja_chat_template final : public chat_template {
public:
  explicit jinja_chat_template(jinja::template_program program)
      : program_(std::move(program)), taken_(chat_shapes::of(program_)) {}

  bool takes_tools() const override { return taken_.tools; }

  result<std::string> render(const chat_input& input) const override {
    auto messages = fit_messages(input.messages, taken_);
    if (!messages) {
      return failure{messages.error()};
    }
    boost::json::object variables;
    variables["messages"] = std::move(*messages);
    variables["tools"] = input.tools.empty() ? boost::json::value(nullptr) : boost::json::value(input.tools);
    variables["documents"] = nullptr;
    variables["add_generation_prompt"] = input.add_generation_prompt;
    variables["bos_token"] = input.bos_token;
    variables["adds_bos"] = input.adds_bos;
    variables["eos_token"] = input.eos_token;
    return program_.render(variables);
  }

private:
  jinja::template_program program_;
  chat_shapes taken_;
};

} // namespace

result<std::shared_ptr<const chat_template>> chat_template::parse(std::string_view source) {
  auto program = jinja::template_program::parse(source);
  if (!program) {
    return failure{"chat template, " + program.error()};
  }
  return std::shared_ptr<const chat_template>(std::make_shared<jinja_chat_template>(std::move(*program)));
}

std::shared_ptr<const chat_template> chat_template::chatml() {
  static const auto parsed = parse(chatml_source);
  return parsed.value();
}

} // namespace souffleur
