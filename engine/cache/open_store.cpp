#include "engine/cache/open_store.hpp"

#include "engine/cache/redis_store.hpp"
#include "engine/cache/sqlite_store.hpp"

#include <chrono>
#include <utility>

namespace souffleur {

namespace {

result<std::unique_ptr<answer_store>> open_redis(const store_options& options) {
  redis_store_options redis;
  redis.url = options.where;
  redis.prefix = options.prefix;
  redis.lookup_timeout = std::chrono::milliseconds{options.timeout_ms};
  redis.embedder = options.embedder;
  redis.n_dimensions = options.n_dimensions;
  return open_redis_store(redis);
}

result<std::unique_ptr<answer_store>> open_file(const store_options& options) {
  sqlite_store_options file;
  file.path = options.where == "auto" ? default_store_file() : options.where;
  file.max_bytes = options.max_bytes;
  return sqlite_store::open(file);
}

} // namespace

result<std::shared_ptr<answer_store>> open_store(const store_options& options) {
  if (options.where == "memory")
    return std::shared_ptr<answer_store>{};
  auto opened = options.where.find("://") != std::string::npos ? open_redis(options) : open_file(options);
  if (!opened)
    return failure{opened.error()};
  return std::shared_ptr<answer_store>{std::move(*opened)};
}

} // namespace souffleur
