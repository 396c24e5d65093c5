// Who may ask, and as whom.
#pragma once

#include "engine/result.hpp"
#include "policies/key_digest.hpp"

#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace souffleur {

/// Keys and their tenants; of the keys only hashes are in memory, so looking one up tells nothing of another
/// by the time it takes. Several keys may belong to one tenant.
class api_keys {
public:
  /// Lines "TENANT KEY" or "TENANT blake2b:HEX", where HEX is the 256-bit BLAKE2b hash of a key (b2sum -l
  /// 256); empty lines and those that begin with # say nothing. A key has 16 to 128 letters, digits or - . _
  /// ~. The error names the line, never the key.
  static result<api_keys> read(std::istream& lines);
  static result<api_keys> read(const std::string& path);

  /// Nothing: there is no such key.
  std::optional<std::string> tenant_of(std::string_view key) const;
  std::size_t size() const { return tenants_.size(); }

private:
  std::unordered_map<key_digest, std::string, key_digest_hash> tenants_;
};

/// KEY of "Bearer KEY"; empty if it is something else.
std::string_view bearer_key(std::string_view authorization);

/// Browsers cannot set headers of a WebSocket; they offer the key as one more subprotocol,
/// "souffleur.key.KEY".
inline constexpr std::string_view key_subprotocol = "souffleur.key.";

} // namespace souffleur
