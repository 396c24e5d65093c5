// Methods of strings, dicts and lists: those of Python that change nothing.
#pragma once

#include "engine/jinja/arguments.hpp"
#include "engine/jinja/execution.hpp"
#include "engine/jinja/value.hpp"

namespace souffleur::jinja {

/// Whether any type has a method of this name.
bool is_method_name(std::string_view name);
bool has_method(const value& receiver, std::string_view name);
/// REQUIRES: has_method(receiver, name).
value call_method(execution& run, const value& receiver, std::string_view name, const arguments& given);

} // namespace souffleur::jinja
