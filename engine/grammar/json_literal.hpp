// JSON values as they are written most compactly.
#pragma once

#include <boost/json/value.hpp>

#include <string>

namespace souffleur::grammar {

/// Numbers in their shortest form, keys in their order.
std::string json_literal(const boost::json::value& value);

} // namespace souffleur::grammar
