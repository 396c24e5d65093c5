#include "engine/cache/redis/keys.hpp"

#include <algorithm>
#include <charconv>

namespace souffleur {

std::optional<key_digest> from_hex(std::string_view hex) {
  key_digest digest;
  if (hex.size() != 2 * digest.bytes.size())
    return std::nullopt;
  for (std::size_t i = 0; i < digest.bytes.size(); ++i) {
    const auto* digits = hex.data() + 2 * i;
    if (std::from_chars(digits, digits + 2, digest.bytes[i], 16).ptr != digits + 2)
      return std::nullopt;
  }
  return digest;
}

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
  if (!from_hex(parsed.exact_hex))
    return std::nullopt;
  return parsed;
}

} // namespace souffleur
