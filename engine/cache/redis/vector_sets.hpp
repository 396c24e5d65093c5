// Redis 8's vector sets: the server's own search over the embeddings of all processes' entries.
#pragma once

#include "engine/cache/answer_store.hpp"
#include "engine/cache/redis/keys.hpp"
#include "engine/cache/redis/pipeline.hpp"
#include "engine/cache/redis/reply.hpp"

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace souffleur {

/// Of one partition. Others hold what another embedder made, or the same with other settings: what is in one
/// set can be compared.
std::string vector_set_name(const key_digest& partition, std::string_view embedder, std::size_t n_dimensions);

/// Adds `vector` to the set at `key`, or puts it in the place of an older one of the same exact key.
void add_vector(redis_pipeline& to, std::string_view key, std::string_view exact_hex,
                std::span<const float> vector, unix_seconds expires_s);
void remove_vector(redis_pipeline& to, std::string_view key, std::string_view exact_hex);
void find_nearest(redis_pipeline& to, std::string_view key, std::span<const float> vector, std::size_t n,
                  unix_seconds now_s);

/// What `find_nearest` is answered, best first. Nothing if it is another kind of answer.
std::optional<std::vector<stored_neighbour>> neighbours_of(const redisReply& reply);

} // namespace souffleur
