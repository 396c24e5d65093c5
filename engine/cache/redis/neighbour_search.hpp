// The server's own search, of which nothing comes that is no more.
#pragma once

#include "engine/cache/redis/access.hpp"

#include <cstddef>
#include <span>
#include <vector>

namespace souffleur {

/// As `answer_store::nearest`. REQUIRES: vector.size() == redis.options.n_dimensions.
result<std::vector<stored_neighbour>> search_neighbours(redis_access& redis, const key_digest& partition,
                                                        std::span<const float> vector, std::size_t n,
                                                        unix_seconds now_s, deadline until);

} // namespace souffleur
