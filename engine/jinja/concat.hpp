// Messages out of parts.
#pragma once

#include <string>
#include <string_view>

namespace souffleur::jinja {

template <class... Parts>
std::string concat(const Parts&... parts) {
  std::string text;
  (text.append(std::string_view(parts)), ...);
  return text;
}

} // namespace souffleur::jinja
