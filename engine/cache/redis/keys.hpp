// The names of what a store keeps in Redis.
#pragma once

#include "policies/key_digest.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace souffleur {

struct redis_keys {
  std::string prefix;

  /// A string: the entry, with the server's own expiry.
  std::string entry(std::string_view exact_hex) const { return prefix + "e:" + std::string{exact_hex}; }
  /// A sorted set: an `owned_entry` each, by when it expires.
  std::string owner(const key_digest& owner) const { return prefix + "o:" + to_hex(owner); }
  /// A vector set: exact keys in hexadecimal, by embedding.
  std::string vectors(std::string_view vector_set) const { return prefix + "v:" + std::string{vector_set}; }
  /// A stream: what was put and erased.
  std::string changes() const { return prefix + "changes"; }
  /// Of every entry, for SCAN.
  std::string entry_pattern() const;
  /// Of the entry that has the key: hexadecimal, if it is one of ours.
  std::string_view exact_of(std::string_view entry_key) const;
};

/// What finds everything that there is of an entry, after it is gone, too.
struct owned_entry {
  std::string exact_hex;
  std::string vector_set; ///< empty: it is in none
  bool operator==(const owned_entry&) const = default;

  std::string text() const { return exact_hex + (vector_set.empty() ? "" : "@" + vector_set); }
  /// Nothing, if it is not what `text` writes.
  static std::optional<owned_entry> parse(std::string_view text);
};

} // namespace souffleur
