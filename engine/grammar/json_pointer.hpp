// Paths into a JSON document (RFC 6901).
#pragma once

#include <string>
#include <string_view>

namespace souffleur::grammar {

/// The pointer to the member `name` of what `pointer` names.
inline std::string below(const std::string& pointer, std::string_view name) {
  std::string made = pointer + "/";
  for (const char c : name)
    if (c == '~' || c == '/')
      made += c == '~' ? "~0" : "~1";
    else
      made += c;
  return made;
}

/// The pointer to an array's item.
inline std::string below(const std::string& pointer, std::size_t index) {
  return pointer + "/" + std::to_string(index);
}

} // namespace souffleur::grammar
