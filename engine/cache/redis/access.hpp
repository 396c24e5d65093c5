// What the parts of a Redis store work with.
#pragma once

#include "engine/cache/answer_store.hpp"
#include "engine/cache/redis/connection.hpp"
#include "engine/cache/redis/keys.hpp"
#include "engine/cache/redis_store.hpp"

namespace souffleur {

struct redis_access {
  redis_store_options options;
  redis_keys keys;
  redis_connection connection;
  store_counters counters;

  bool has_search() const { return options.n_dimensions > 0 && connection.server().has_vector_sets; }
  bool has_right_dimensions(const cache_entry& entry) const {
    return entry.embedding.empty() || options.n_dimensions == 0 ||
           entry.embedding.size() == options.n_dimensions;
  }

  /// The reply to the last command. Fails if that is an error.
  result<redis_reply> ask(const redis_pipeline& commands, deadline until);
};

} // namespace souffleur
