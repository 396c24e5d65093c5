// Renders conversations with the model's own Jinja template.
#pragma once

#include "engine/result.hpp"

#include <boost/json/array.hpp>

#include <memory>
#include <string>
#include <string_view>

namespace souffleur {

/// The variables that Hugging Face passes to a chat template. A message's content may be a text, null or a
/// list of parts, and arguments of tool calls objects or JSON text: they are fitted to what the template
/// takes.
struct chat_input {
  boost::json::array messages;
  boost::json::array tools; ///< empty: the template sees none
  bool add_generation_prompt = true;
  std::string bos_token;
  bool adds_bos = false; ///< whether texts begin with it; a model's own template knows
  std::string eos_token;
};

/// Immutable after construction; safe to share between threads.
class chat_template {
public:
  /// Parses `source`; an unsupported construct is an error that names it and its line.
  static result<std::shared_ptr<const chat_template>> parse(std::string_view source);
  /// The ChatML format, for models whose own template is missing or not supported.
  static std::shared_ptr<const chat_template> chatml();
  virtual ~chat_template() = default;
  /// Whether it shows tools to the model.
  virtual bool takes_tools() const { return false; }
  /// Fails where the template itself raises (`raise_exception`), meets a type error or does too much work.
  virtual result<std::string> render(const chat_input& input) const = 0;
};

} // namespace souffleur
