// Fits messages in the shapes that OpenAI's API allows to what a template can take.
#pragma once

#include "engine/jinja/template.hpp"
#include "engine/result.hpp"

#include <boost/json/array.hpp>

namespace souffleur {

/// What a template takes beyond texts, found by rendering small conversations with it.
struct chat_shapes {
  bool parts = false;            ///< content as a list of parts
  bool null_content = false;     ///< null as the content of an assistant's tool calls
  bool tools = false;            ///< descriptions of functions
  bool object_arguments = false; ///< arguments of tool calls as objects; else as JSON text

  static chat_shapes of(const jinja::template_program& program);
};

/// Where the template takes no parts, texts of parts joined by newlines; where it takes no null, the empty
/// text; and arguments of tool calls parsed if the template takes objects. What fits already stays as it is.
/// Fails on parts that are no text, unless the template takes parts.
result<boost::json::array> fit_messages(boost::json::array messages, const chat_shapes& taken);

} // namespace souffleur
