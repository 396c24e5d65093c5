// What an answer has to look like, in the words of a request.
#pragma once

#include "engine/result.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace souffleur::grammar {

struct rules;

enum class language : std::uint8_t {
  json_object, ///< any; no source
  json_schema, ///< as JSON text
  regex,       ///< that the whole answer matches
  choice,      ///< a JSON array of texts, one of which is the answer
  gbnf,
  tool_calls ///< see tool_call_rules
};

struct output_grammar {
  language in = language::json_object;
  std::string source;
  bool operator==(const output_grammar&) const = default;
};

/// A source may have so many bytes.
inline constexpr std::size_t most_source_bytes = std::size_t{256} << 10;

/// The error is for who wrote the source.
result<rules> rules_of(const output_grammar& wanted);

/// Calls of functions in Qwen's and Hermes' form: lines `<tool_call>`, a JSON object with `name` and
/// `arguments`, `</tool_call>`. `source` is a JSON object:
///   functions: [{name, parameters (a schema; may be missing), strict}]
///   parallel: whether several calls may follow each other
///   required: else the answer may also be, or begin with, a text without calls; then the arguments of a
///             function without `strict` are any object
result<rules> tool_call_rules(const std::string& source);

inline constexpr std::string_view tool_call_begin = "<tool_call>";
inline constexpr std::string_view tool_call_end = "</tool_call>";

} // namespace souffleur::grammar
