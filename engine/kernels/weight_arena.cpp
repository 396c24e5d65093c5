#include "engine/kernels/weight_arena.hpp"

#include <algorithm>
#include <cstdint>
#include <new>
#include <sys/mman.h>

namespace souffleur {

namespace {

constexpr std::size_t huge_page_bytes = 2U << 20;
constexpr std::size_t cache_line_bytes = 64;

std::size_t rounded_up(std::size_t n, std::size_t unit) { return (n + unit - 1) / unit * unit; }

std::shared_ptr<std::byte[]> mapped(std::size_t size_bytes) {
  // Mappings begin on small pages; one huge page more leaves room to begin on a huge one.
  const auto n = rounded_up(size_bytes, huge_page_bytes) + huge_page_bytes;
  void* at = mmap(nullptr, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED)
    throw std::bad_alloc{};
  madvise(at, n, MADV_HUGEPAGE); // a wish: without huge pages everything works, slower
  auto* bytes = static_cast<std::byte*>(at);
  const std::shared_ptr<std::byte[]> whole{bytes, [n](std::byte* p) { munmap(p, n); }};
  const auto address = reinterpret_cast<std::uintptr_t>(bytes);
  return {whole, bytes + (rounded_up(address, huge_page_bytes) - address)};
}

} // namespace

weight_arena::weight_arena(std::size_t size_bytes) : region_(mapped(size_bytes)), size_bytes_(size_bytes) {}

std::shared_ptr<std::byte[]> weight_arena::allocate(std::size_t size_bytes) {
  if (size_bytes > size_bytes_ - used_bytes_)
    return mapped(size_bytes);
  std::shared_ptr<std::byte[]> piece{region_, region_.get() + used_bytes_};
  used_bytes_ = std::min(size_bytes_, used_bytes_ + rounded_up(size_bytes, cache_line_bytes));
  return piece;
}

} // namespace souffleur
