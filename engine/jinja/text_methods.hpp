// Methods of strings.
#pragma once

#include "engine/jinja/arguments.hpp"
#include "engine/jinja/execution.hpp"
#include "engine/jinja/value.hpp"

#include <span>

namespace souffleur::jinja {

struct method {
  std::string_view name;
  value (*run)(execution& run, const value& receiver, const arguments& given);
};

std::span<const method> text_methods();

} // namespace souffleur::jinja
