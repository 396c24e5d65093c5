// What all processes put into a Redis server and erased there.
#pragma once

#include "engine/cache/redis/access.hpp"

#include <cstddef>
#include <string>

namespace souffleur {

/// As `answer_store::changes_since`. From the beginning, it is what there is now, part by part, then what was
/// done since. Begins from the beginning again where the server no longer has what was done.
result<store_changes> read_changes(redis_access& redis, const std::string& position, std::size_t n_most,
                                   unix_seconds now_s, deadline until);

} // namespace souffleur
