// Edits of strings that methods and filters share.
#pragma once

#include "engine/jinja/execution.hpp"
#include "engine/jinja/value.hpp"

namespace souffleur::jinja {

/// str.replace(): at most `count` places, all if it is negative. An empty `old` matches between all code
/// points.
std::string replace_all(execution& run, std::string_view text, std::string_view old, std::string_view by,
                        std::int64_t count);

/// str.split() at `separator`, or at runs of white space if it is null; at most `limit` cuts, all if
/// negative.
std::vector<value> split(execution& run, std::string_view text, const std::string_view* separator,
                         std::int64_t limit);
/// str.rsplit(): the same, cutting from the right.
std::vector<value> split_from_right(execution& run, std::string_view text, const std::string_view* separator,
                                    std::int64_t limit);

/// str(part) of all, with `between` between them.
std::string join(execution& run, const std::vector<value>& parts, std::string_view between);

} // namespace souffleur::jinja
