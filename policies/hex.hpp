// Bytes as text: two lower-case hexadecimal digits each.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace souffleur {

std::string to_hex(std::string_view bytes);
/// Takes upper-case digits as well. Nothing for what is no even number of digits.
std::optional<std::string> bytes_from_hex(std::string_view digits);

} // namespace souffleur
