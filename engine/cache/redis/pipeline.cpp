#include "engine/cache/redis/pipeline.hpp"

#include <hiredis/hiredis.h>

#include <new>
#include <vector>

namespace souffleur {

void redis_pipeline::add(std::span<const std::string_view> words) {
  std::vector<const char*> starts;
  std::vector<std::size_t> sizes;
  for (const auto word : words) {
    starts.push_back(word.data());
    sizes.push_back(word.size());
  }
  char* formatted = nullptr;
  const int n_bytes =
      redisFormatCommandArgv(&formatted, static_cast<int>(words.size()), starts.data(), sizes.data());
  if (n_bytes < 0)
    throw std::bad_alloc{};
  bytes_.append(formatted, static_cast<std::size_t>(n_bytes));
  redisFreeCommand(formatted);
  ++n_commands_;
}

} // namespace souffleur
