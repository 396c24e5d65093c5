// Backslash escapes of string literals.
#pragma once

#include "engine/result.hpp"

#include <string>
#include <string_view>

namespace souffleur::jinja {

/// The text that a literal's inside means, by Python's rules; unknown escapes stay as they are.
/// Fails on incomplete \x, \u and \U, on surrogates and on \N.
result<std::string> unescape(std::string_view inside);

} // namespace souffleur::jinja
