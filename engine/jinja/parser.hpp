// Tokens to a syntax tree.
#pragma once

#include "engine/jinja/ast.hpp"
#include "engine/result.hpp"

#include <string_view>

namespace souffleur::jinja {

/// Everything that is wrong with a template before it has data: syntax, unsupported constructs, filters,
/// tests, functions and methods that do not exist. The error names the construct and its line.
result<block> parse_template(std::string_view source);

} // namespace souffleur::jinja
