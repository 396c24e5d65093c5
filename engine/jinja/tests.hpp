// What `is` can ask of a value.
#pragma once

#include "engine/jinja/arguments.hpp"
#include "engine/jinja/execution.hpp"
#include "engine/jinja/value.hpp"

namespace souffleur::jinja {

struct test {
  std::string_view name;
  bool (*run)(execution& run, const value& input, const arguments& given);
};

/// Null if there is none of this name.
const test* find_test(std::string_view name);

} // namespace souffleur::jinja
