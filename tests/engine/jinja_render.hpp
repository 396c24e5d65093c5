// Parsing and rendering in one call, for tests that ask what comes out or what the error says.
#pragma once

#include "engine/jinja/template.hpp"

#include <boost/json/object.hpp>

#include <string>
#include <string_view>

namespace souffleur::jinja {

/// "no error" if there is none.
inline std::string parse_error(std::string_view source) {
  const auto program = template_program::parse(source);
  return program.ok() ? "no error" : program.error();
}

inline result<std::string> render(std::string_view source, const boost::json::object& variables = {},
                                  const limits& bounds = {}) {
  const auto program = template_program::parse(source);
  return program.ok() ? program->render(variables, bounds) : result<std::string>(failure{program.error()});
}

/// "no error" if there is none.
inline std::string render_error(std::string_view source, const boost::json::object& variables = {},
                                const limits& bounds = {}) {
  const auto text = render(source, variables, bounds);
  return text.ok() ? "no error" : text.error();
}

} // namespace souffleur::jinja
