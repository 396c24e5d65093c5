// A Redis server that several processes share: its entries, what of them was put and erased, and, from Redis
// 8 on, its own search.
#pragma once

#include "engine/cache/answer_store.hpp"
#include "engine/result.hpp"

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

namespace souffleur {

struct redis_store_options {
  std::string url;                   ///< see `parse_redis_address`
  std::string prefix = "souffleur:"; ///< of the names of all keys

  /// In which a call returns, whatever the server does: `get` and `nearest`, then all others. Part of it is
  /// the making of a connection, where that is needed.
  std::chrono::milliseconds lookup_timeout{20};
  std::chrono::milliseconds background_timeout{250};
  std::chrono::milliseconds connect_timeout{50};
  /// After a failure, calls fail at once for so long; for twice as long after each further one in a row.
  std::chrono::milliseconds first_back_off{50};
  std::chrono::milliseconds most_back_off{5000};

  std::size_t max_value_bytes = 1 << 20; ///< of an entry; greater ones are neither stored nor read
  std::size_t max_changes = 1 << 16;     ///< that the server remembers for others, about

  std::string embedder;         ///< fingerprint of what makes the vectors for `nearest`
  std::size_t n_dimensions = 0; ///< of its vectors; 0: there is no embedder, and no search
};

/// Fails only if the options make no sense. A server that cannot be reached is tried again by later calls,
/// but once in an interval that grows; `counters` tells.
///
/// Differs from other stores in this: `searches` may change when another server is connected to; entries come
/// out of `changes_since` in the order of creation only within what one call returns; what has expired goes
/// by itself, and is no change; `forget` and `nearest` take it for granted that a partition is of one owner,
/// and an exact key of one partition. `forget` fails if it ran out of time, but keeps what it did, so it may
/// be called again. How much there is in the server is not counted.
result<std::unique_ptr<answer_store>> open_redis_store(const redis_store_options& options);

} // namespace souffleur
