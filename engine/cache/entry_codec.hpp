// A cache entry as bytes, the same in every store.
#pragma once

#include "engine/cache/cached_answer.hpp"

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

} // namespace souffleur
