// Two JSON schemas that both have to hold, as one.
#pragma once

#include "engine/result.hpp"

#include <boost/json/object.hpp>

#include <string_view>

namespace souffleur::grammar {

/// Fails where no single schema of the keywords that we know says the same; the error names the keyword.
result<boost::json::object> merged_schemas(const boost::json::object& a, const boost::json::object& b);

/// Keywords that say nothing about what is valid.
bool is_annotation(std::string_view keyword);

} // namespace souffleur::grammar
