// The tools of a chat request, and what its answer may do with them.
#pragma once

#include "actors/messages/generation.hpp"
#include "net/json_fields.hpp"

#include <boost/json/array.hpp>

#include <optional>

namespace souffleur {

/// `tools`, `tool_choice` and `parallel_tool_calls`.
struct tool_request {
  boost::json::array tools; ///< as the template gets them; empty: it sees none
  bool parallel = true;     ///< an answer may have several calls
  /// The form of the calls where they are required, where one function is named, or where a function is
  /// `strict`; else they are as the model makes them.
  std::optional<output_constraint> output;
};

/// Checks what it reads. With "none" the template sees no tools.
tool_request read_tools(json_fields& fields);

} // namespace souffleur
