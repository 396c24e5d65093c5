// Entries into Redis and out of it, with all that finds them: nobody sees half of one.
#pragma once

#include "engine/cache/redis/access.hpp"

#include <cstddef>
#include <variant>

namespace souffleur {

result<std::monostate> write_entry(redis_access& redis, const cache_entry& entry, deadline until);

result<std::monostate> remove_entry(redis_access& redis, const key_digest& exact, deadline until);

/// Returns how many entries those were.
result<std::size_t> remove_owned(redis_access& redis, const key_digest& owner, deadline until);

/// Removes what is left of some of the owner's entries that have expired at `now_s`: the server drops the
/// entries by itself, not what finds them. Fails silently: the next one does the same.
void sweep_expired(redis_access& redis, const key_digest& owner, unix_seconds now_s, deadline until);

} // namespace souffleur
