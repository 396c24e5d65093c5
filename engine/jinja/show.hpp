// Values as text: Python's str() and repr(), and json.dumps().
#pragma once

#include "engine/jinja/execution.hpp"
#include "engine/jinja/value.hpp"

namespace souffleur::jinja {

/// str(): what `{{ v }}` prints.
void write(text_writer& out, execution& run, const value& v);
std::string to_text(execution& run, const value& v);
/// Shortest digits that read back as `d`, in Python's notation.
std::string number_text(double d);

struct json_style {
  bool ascii = false;
  bool sort_keys = false;
  std::optional<std::string> indent; ///< set: one item a line, indented by this per level
  std::string item_separator = ", ";
  std::string key_separator = ": ";
};

/// json.dumps(); fails for what has no JSON form.
void write_json(text_writer& out, execution& run, const value& v, const json_style& style);

} // namespace souffleur::jinja
