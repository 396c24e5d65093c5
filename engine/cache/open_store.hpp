// Which store stands behind the response cache, by name.
#pragma once

#include "engine/cache/answer_store.hpp"
#include "engine/result.hpp"

#include <cstdint>
#include <memory>
#include <string>

namespace souffleur {

struct store_options {
  /// "auto" (default_store_file()), "memory" (none), a file, or the address of a Redis server: redis://host,
  /// unix:///socket.
  std::string where = "auto";
  std::uint64_t max_bytes = std::uint64_t{256} << 20; ///< of a file
  int timeout_ms = 20;                                ///< of a lookup in a Redis server
  std::string prefix = "souffleur:";                  ///< of the names of its keys
  std::string embedder;                               ///< fingerprint; empty: there is none
  std::size_t n_dimensions = 0;
};

/// Null: answers are to be in memory only. A Redis server that cannot be reached is no failure: it may come.
result<std::shared_ptr<answer_store>> open_store(const store_options& options);

} // namespace souffleur
