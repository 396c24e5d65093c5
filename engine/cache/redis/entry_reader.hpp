// Entries out of Redis, where others write, too: what is not as it should be is not there.
#pragma once

#include "engine/cache/redis/access.hpp"

#include <optional>
#include <vector>

namespace souffleur {

/// Whatever its age, except at the server's own clock.
constexpr unix_seconds at_any_time = std::numeric_limits<unix_seconds>::min();

result<std::optional<cache_entry>> read_entry(redis_access& redis, const key_digest& exact,
                                              unix_seconds now_s, deadline until);

/// Those that are there, in the order of `exact`.
result<std::vector<cache_entry_ptr>> read_entries(redis_access& redis, const std::vector<key_digest>& exact,
                                                  unix_seconds now_s, deadline until);

} // namespace souffleur
