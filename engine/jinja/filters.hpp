// The filters that templates can apply.
#pragma once

#include "engine/jinja/arguments.hpp"
#include "engine/jinja/execution.hpp"
#include "engine/jinja/value.hpp"

#include <span>

namespace souffleur::jinja {

struct filter {
  std::string_view name;
  value (*run)(execution& run, const value& input, const arguments& given);
};

/// Null if there is none of this name.
const filter* find_filter(std::string_view name);

// The table in parts, by what the filters work on.
std::span<const filter> text_filters();
std::span<const filter> sequence_filters();
std::span<const filter> selection_filters();
std::span<const filter> value_filters();

/// `name` may be a path of attributes and indices, as in map(attribute="a.0.b").
value attribute_path(execution& run, const value& object, const value& path);
/// Texts in lower case, other values as they are.
value fold_case(execution& run, const value& v);

} // namespace souffleur::jinja
