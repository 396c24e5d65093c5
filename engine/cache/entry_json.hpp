// A cache entry as a line of JSON: what `souffleur cache export` writes, for other programs and for moving
// answers from one store to another.
#pragma once

#include "engine/cache/cached_answer.hpp"
#include "engine/result.hpp"

#include <string>
#include <string_view>

namespace souffleur {

/// {"exact", "partition", "owner": hexadecimal, "question", "embedding": numbers, "embedder", "created_s",
/// "expires_s", "pieces": [{"id", "text", "bytes" if they are others}], "tail", "stop_string"}, without a
/// line end. Bytes that are no UTF-8 are {"hex": digits}. Loses nothing.
std::string entry_as_json(const cache_entry& entry);

/// The error names the field that is missing or wrong.
result<cache_entry> entry_from_json(std::string_view line);

} // namespace souffleur
