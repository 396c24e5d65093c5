#include "engine/cache/redis/keys.hpp"

#include <algorithm>

namespace souffleur {

std::string redis_keys::entry_pattern() const {
  std::string pattern;
  for (const char c : entry("")) {
    if (std::string_view{"*?[]^-\\"}.find(c) != std::string_view::npos)
      pattern += '\\';
    pattern += c;
  }
  return pattern + "*";
}

std::string_view redis_keys::exact_of(std::string_view entry_key) const {
  return entry_key.substr(std::min(entry("").size(), entry_key.size()));
}

std::optional<owned_entry> owned_entry::parse(std::string_view text) {
  const auto at = text.find('@');
  owned_entry parsed{std::string{text.substr(0, at)},
                     at == text.npos ? "" : std::string{text.substr(at + 1)}};
  if (!digest_from_hex(parsed.exact_hex))
    return std::nullopt;
  return parsed;
}

} // namespace souffleur
