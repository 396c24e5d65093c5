#include "engine/kernels/weight_arena.hpp"

#include "engine/kernels/lazy_memory.hpp"

namespace souffleur {

namespace {
constexpr std::size_t cache_line_bytes = 64;
} // namespace

weight_arena::weight_arena(std::size_t size_bytes)
    : region_(lazy_memory(size_bytes, page_kind::huge)), size_bytes_(size_bytes) {}

std::shared_ptr<std::byte[]> weight_arena::allocate(std::size_t size_bytes) {
  const auto rounded = (size_bytes + cache_line_bytes - 1) / cache_line_bytes * cache_line_bytes;
  if (rounded > size_bytes_ - used_bytes_)
    return lazy_memory(size_bytes, page_kind::huge);
  std::shared_ptr<std::byte[]> piece{region_, region_.get() + used_bytes_};
  used_bytes_ += rounded;
  return piece;
}

} // namespace souffleur
