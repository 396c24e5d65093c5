// Who may ask, and as whom.
#pragma once

#include "engine/result.hpp"
#include "policies/key_digest.hpp"
#include "policies/tenant_limits.hpp"

#include <functional>
#include <iosfwd>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace souffleur {

/// Keys and their tenants; of the keys only hashes are in memory, so looking one up tells nothing of another
/// by the time it takes. Several keys may belong to one tenant.
class api_keys {
public:
  /// Lines "TENANT KEY" or "TENANT blake2b:HEX", then perhaps the tenant's limits in place of everybody's:
  /// requests_per_minute=N, tokens_per_minute=N, tokens_per_day=N (0: none). HEX is the 256-bit BLAKE2b hash
  /// of a key (b2sum -l 256); empty lines and those that begin with # say nothing. A key has 16 to 128
  /// letters, digits or - . _
  /// ~. The error names the line, never the key.
  static result<api_keys> read(std::istream& lines);
  static result<api_keys> read(const std::string& path);

  /// Nothing: there is no such key.
  std::optional<std::string> tenant_of(std::string_view key) const;
  /// `usual` where the file says nothing else.
  tenant_limits limits_of(std::string_view tenant, const tenant_limits& usual) const;
  std::size_t size() const { return tenants_.size(); }

private:
  /// Nothing: as usual.
  struct own_limits {
    std::optional<double> requests_per_minute;
    std::optional<double> tokens_per_minute;
    std::optional<double> tokens_per_day;
  };
  /// Empty, or what is wrong with the word.
  static std::string read_limit(const std::string& word, own_limits& into);

  std::unordered_map<key_digest, std::string, key_digest_hash> tenants_;
  std::map<std::string, own_limits, std::less<>> limits_; ///< by tenant
};

/// As what a key may stand in the file.
std::string hashed_key(std::string_view key);

/// KEY of "Bearer KEY"; empty if it is something else.
std::string_view bearer_key(std::string_view authorization);

/// Browsers cannot set headers of a WebSocket; they offer the key as one more subprotocol,
/// "souffleur.key.KEY".
inline constexpr std::string_view key_subprotocol = "souffleur.key.";

} // namespace souffleur
