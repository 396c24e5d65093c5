// Makes containers within the limits of an execution.
#pragma once

#include "engine/jinja/execution.hpp"
#include "engine/jinja/value.hpp"

#include <boost/json/value.hpp>

namespace souffleur::jinja {

/// Undefined, and the execution failed, where it would nest or grow too far.
value make_sequence(execution& run, flavour how, std::vector<value> items);
value make_dict(execution& run, dict entries);
value make_text(execution& run, std::string text);
/// The undefined value that says `what` is missing.
value make_undefined(execution& run, std::string what);
/// Integers above 2^63 - 1 become floats.
value from_json(execution& run, const boost::json::value& json);

} // namespace souffleur::jinja
