// The functions of the environment, but for namespace(), which the evaluator owns.
#pragma once

#include "engine/jinja/arguments.hpp"
#include "engine/jinja/execution.hpp"
#include "engine/jinja/value.hpp"

namespace souffleur::jinja {

/// Whether the environment has a function of this name; namespace() counts.
bool is_function_name(std::string_view name);
/// REQUIRES: is_function_name(name), and it is not "namespace".
value call_function(execution& run, std::string_view name, const arguments& given);
/// What dict() and namespace() make of their arguments.
dict merge_arguments(execution& run, std::string_view callee, const arguments& given);

} // namespace souffleur::jinja
