// A cache entry as bytes, the same in every store.
#pragma once

#include "engine/cache/cached_answer.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace souffleur {

/// Magic and version, then the fields in the order of `cache_entry` with each text and list after its length,
/// then a checksum (XXH3) of everything before it. Little-endian. An entry has one encoding.
/// REQUIRES: an answer; no text or list of 2^32 items.
std::string encode_entry(const cache_entry& entry);

/// Stores are files that were damaged, or servers that others write to: nothing unless every byte is as
/// `encode_entry` writes it, the version is this one, and the embedding is empty or of length 1 (within
/// 0.001). Takes no more memory than a small multiple of the bytes, whatever lengths they state.
std::optional<cache_entry> decode_entry(std::string_view bytes);

/// What an encoded entry is of, from its first bytes alone.
struct entry_names {
  key_digest exact;
  key_digest partition;
  key_digest owner;
  bool operator==(const entry_names&) const = default;
};
constexpr std::size_t encoded_names_bytes = 2 * sizeof(std::uint32_t) + sizeof(entry_names);

/// Nothing unless `bytes` begin as `encode_entry` of this version does. No checksum covers it alone.
std::optional<entry_names> decode_names(std::string_view bytes);

} // namespace souffleur
