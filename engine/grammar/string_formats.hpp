// JSON schema's formats of strings, as regular expressions.
#pragma once

#include <optional>
#include <string_view>

namespace souffleur::grammar {

/// A pattern that all of a string has to match; nothing if the format is not known. Each admits less than
/// the standard where that is unwieldy: a date's day is 01 to 28, 29 or 30 by month without leap years.
std::optional<std::string_view> pattern_of_format(std::string_view name);

inline constexpr std::string_view known_formats =
    "date, time, date-time, duration, email, hostname, ipv4, ipv6, uri, uuid";

} // namespace souffleur::grammar
