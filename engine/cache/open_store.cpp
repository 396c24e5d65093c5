#include "engine/cache/open_store.hpp"

#include "engine/cache/sqlite_store.hpp"

#include <utility>

namespace souffleur {

namespace {

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
  auto opened = open_file(options);
  if (!opened)
    return failure{opened.error()};
  return std::shared_ptr<answer_store>{std::move(*opened)};
}

} // namespace souffleur
