// Python's operators on values. A type error fails the execution and yields undefined.
#pragma once

#include "engine/jinja/execution.hpp"
#include "engine/jinja/value.hpp"

#include <optional>

namespace souffleur::jinja {

enum class binary_operator { add, subtract, multiply, divide, floor_divide, modulo, power };
enum class comparison { equal, not_equal, less, less_equal, greater, greater_equal, in, not_in };

bool truth(const value& v);
bool equal(execution& run, const value& a, const value& b);
/// Negative, zero or positive; fails where Python has no order.
int order(execution& run, const value& a, const value& b);
bool contains(execution& run, const value& container, const value& item);
bool compare(execution& run, comparison how, const value& a, const value& b);
value calculate(execution& run, binary_operator how, const value& a, const value& b);
value negate(execution& run, const value& v);

/// Number of items or code points; fails for what has no length.
std::int64_t length(execution& run, const value& v);
/// What iterating yields: items, code points, keys. Uses up a generator.
std::vector<value> iterate(execution& run, const value& v);

/// `object.name`: methods come before keys.
value attribute(execution& run, const value& object, std::string_view name);
/// `object[key]`: keys come before methods.
value subscript(execution& run, const value& object, const value& key);
/// `object[start:stop:step]`; null for what is left out.
value slice(execution& run, const value& object, const value* start, const value* stop, const value* step);

/// Fails with the message of a missing variable if `v` is undefined. True if it is defined.
bool require_defined(execution& run, const value& v);

} // namespace souffleur::jinja
